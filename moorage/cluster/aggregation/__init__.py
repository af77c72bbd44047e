"""APIs that other servers serve: who they are, whether they answer, and our certificate towards them."""
