"""The names that pods resolve."""

from moorage.api.kinds.pod_spec.dns import validate_dns_config


def test_without_a_policy_and_without_servers_nothing_else_is_said() -> None:
    spec = {"dnsPolicy": "None", "dnsConfig": {"options": [{}], "searches": ["A_"]}}
    assert [cause.field for cause in validate_dns_config("spec", spec)] == ["spec.dnsConfig.nameservers"]
    spec = {"dnsConfig": {"options": [{}], "searches": ["A_", "."]}}
    assert [cause.field for cause in validate_dns_config("spec", spec)] == [
        "spec.dnsConfig.searches[0]",
        "spec.dnsConfig.options[0]",
    ]
