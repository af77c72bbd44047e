"""An operator of Kopf's: it gives each boat a ConfigMap, keeps a log of time, and lets go only when it has seen the end."""

import kopf


@kopf.on.startup()
def configure(settings: kopf.OperatorSettings, **_: object) -> None:
    settings.peering.name = "harbour"
    settings.peering.mandatory = True
    settings.posting.enabled = True


@kopf.on.create("example.org", "v1", "boats")
def launch(spec: kopf.Spec, patch: kopf.Patch, body: kopf.Body, **_: object) -> dict[str, object]:
    patch.status["state"] = "afloat"
    kopf.event(body, type="Normal", reason="Launched", message=f"with {spec['sails']} sails")
    return {"sails": spec["sails"]}


@kopf.on.update("example.org", "v1", "boats", field="spec.sails")
def rig(old: object, new: object, patch: kopf.Patch, **_: object) -> None:
    patch.status["rigged"] = f"{old}->{new}"


@kopf.timer("example.org", "v1", "boats", interval=0.3, initial_delay=0.1)
def tick(patch: kopf.Patch, status: kopf.Status, **_: object) -> None:
    if status.get("ticks", 0) < 3:
        patch.status["ticks"] = status.get("ticks", 0) + 1


@kopf.on.delete("example.org", "v1", "boats")
def sink(name: str, logger: kopf.Logger, **_: object) -> None:
    print(f"SUNK {name}", flush=True)
