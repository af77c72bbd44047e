"""The rules of jobs by concept: specification, policies, status. Shared by Job and CronJob."""
