"""What is still to be done before a key that is meant to be revoked works for nobody.

Only what can be undone is told: that a key is to be destroyed is never the auditor's advice.
"""

from collections.abc import Iterator, Mapping

from auditor.model import AwsKey, GcpKey, KeyManager, KeyMemory, KeyName
from auditor.questions.prove_revoked.answer import ToDo
from auditor.readability.lines import disable


def left_to_do(key: KeyName, memories: Mapping[KeyName, KeyMemory]) -> tuple[ToDo, ...]:
    """Each part of a key that works by its last word, and each replica of it that does, with the call that ends that.

    Empty where none is known to work: what stands in the way of a proof then is told beside it.
    """
    replicas = sorted((name for name in memories if name != key and name.is_replica_of(key)), key=str)
    return tuple(step for name in (key, *replicas) for step in _of(name, memories.get(name)))


def _of(name: KeyName, memory: KeyMemory | None) -> Iterator[ToDo]:
    if memory is None or memory.missing_since is not None:
        return
    match memory.last:
        case AwsKey(manager=KeyManager.PROVIDER):
            yield ToDo(
                f"delete the data under {name}, or move it to a key of your own: AWS manages this one, and its "
                "customers can neither disable nor delete it",
                "whoever writes the data",
                "nothing is under it",
            )
        case AwsKey(state="Enabled" | "Updating" | "Unavailable"):
            yield ToDo(disable(name.text), "an administrator of the key, in its account", "Disabled")
        case GcpKey(versions=versions):
            for one in versions:
                if one.state == "ENABLED" and one.unlisted_since is None:
                    yield ToDo(
                        disable(f"{name}/cryptoKeyVersions/{one.number}"),
                        "an administrator of the key (roles/cloudkms.admin), in its project",
                        "DISABLED",
                    )
        case _:
            return
