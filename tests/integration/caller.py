"""A client of the service as these tests use it: uploads phantoms, submits jobs, waits for them."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from amlp.phantom import generate_phantoms

SECONDS = 240.0
PHANTOM_SIZE = 32
TINY: dict[str, Any] = {
    "image_size": PHANTOM_SIZE,
    "patch_size": 8,
    "encoder": {"embed_dim": 24, "depth": 1, "num_heads": 2},
    "batch_size": 4,
    "schedule": {"epochs": 2},
    "checkpoint_every": 1,
    "precision": "fp32",
}
PRETRAIN = TINY | {"decoder": {"embed_dim": 24, "depth": 1, "num_heads": 2}}
FINETUNE = TINY | {"head": {"name": "linear"}}
EVALUATE = {"split": "test", "bootstrap_samples": 100}


@dataclass(frozen=True)
class Caller:
    """Somebody with an API key, and with a data set once it is uploaded."""

    client: TestClient
    headers: dict[str, str]
    dataset: str = ""

    def get(self, path: str) -> Any:
        return self.client.get(path, headers=self.headers).json()

    def upload_phantoms(self, folder: Path) -> str:
        """Upload a dozen phantoms and freeze them; return the data set's id."""
        raw = generate_phantoms(folder, 12, size=PHANTOM_SIZE)
        wanted = {"name": "phantoms", "kind": "segmentation"}
        made = self.client.post("/v1/datasets", json=wanted, headers=self.headers).json()
        files = [
            (role, (path.name, path.read_bytes(), "image/png"))
            for role in ("images", "masks")
            for path in sorted((raw / role).iterdir())
        ]
        address = f"/v1/datasets/{made['id']}"
        uploaded = self.client.post(f"{address}/files", files=files, headers=self.headers)
        assert uploaded.status_code == 201, uploaded.text
        frozen = self.client.post(f"{address}/versions", json={}, headers=self.headers)
        assert frozen.status_code == 201, frozen.text
        return str(made["id"])

    def submit(self, **request: Any) -> dict[str, Any]:
        body = {"kind": "pretrain", "dataset": self.dataset, "config": PRETRAIN} | request
        answer = self.client.post("/v1/jobs", json=body, headers=self.headers)
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    def wait_until(self, job: dict[str, Any], **expected: Any) -> dict[str, Any]:
        deadline = time.monotonic() + SECONDS
        while True:
            now = dict(self.get(job["links"]["self"]))
            if all(now[name] == value for name, value in expected.items()):
                return now
            assert time.monotonic() < deadline, now
            assert now["state"] not in {"FAILED", "SUCCEEDED", "CANCELLED"}, now
            time.sleep(0.2)

    def run(self, **request: Any) -> dict[str, Any]:
        return self.wait_until(self.submit(**request), state="SUCCEEDED")

    def segment(self, image: bytes) -> Any:
        headers = self.headers | {"Content-Type": "image/png", "Accept": "application/json"}
        answer = self.client.post("/v1/segment", content=image, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()


def check_whole_flow(caller: Caller, unseen: bytes) -> None:
    """Pretrain, fine-tune, evaluate and segment, each with the result of the one before."""
    pretrained = caller.run(kind="pretrain")
    encoder = pretrained["result"]["model"]
    tuned = caller.run(kind="finetune", init_from=encoder["id"], config=FINETUNE)
    segmenter = tuned["result"]["model"]
    evaluated = caller.run(kind="evaluate", model_version=segmenter["id"], config=EVALUATE)

    answer = caller.segment(unseen)

    version = caller.get(f"/v1/models/{segmenter['name']}/versions/{segmenter['number']}")
    events = caller.client.get(pretrained["links"]["events"], headers=caller.headers).text
    assert "event: metric" in events
    assert "event: done" in events
    assert version["lineage"]["parent_id"] == encoder["id"]
    assert version["lineage"]["job_id"] == tuned["id"]
    assert any(name.startswith("evaluation/sha256:") for name in version["metrics"])
    assert evaluated["result"]["model"]["id"] == segmenter["id"]
    assert answer["model"]["id"] == segmenter["id"]
