"""The digest that names an experiment."""

import hashlib
import json

from amlp.config.model import Config


def config_digest(config: Config) -> str:
    """Return `sha256:` and the hex digest of the config's canonical JSON.

    The preset's name is left out: what counts are the values it led to.
    """
    values = config.model_dump(mode="json", exclude={"preset"})
    canonical = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()
