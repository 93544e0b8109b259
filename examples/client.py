"""A small client of the service's public API: what any HTTP client would do."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import httpx

TERMINAL_STATES = {"SUCCEEDED", "FAILED", "CANCELLED"}


class JobFailed(Exception):
    """A job ended in another state than SUCCEEDED."""


class Client:
    """Calls the API with one key; every method is one request, but for `watch`."""

    def __init__(self, url: str, key: str) -> None:
        self._http = httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=600.0
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def create_dataset(self, name: str) -> str:
        """Create a data set and return its id."""
        body = {"name": name, "kind": "segmentation"}
        return str(self._checked("POST", "/v1/datasets", json=body)["id"])

    def upload_archive(self, dataset_id: str, archive: Path) -> dict[str, Any]:
        """Upload a zip of `images/`, `masks/` and, optionally, `manifest.csv`."""
        with archive.open("rb") as file:
            return self._checked(
                "POST",
                f"/v1/datasets/{dataset_id}/files",
                content=file,
                headers={"Content-Type": "application/zip"},
            )

    def freeze(self, dataset_id: str) -> dict[str, Any]:
        """Freeze what was uploaded into an immutable version."""
        return self._checked("POST", f"/v1/datasets/{dataset_id}/versions", json={})

    def submit(self, job: dict[str, Any]) -> dict[str, Any]:
        """Submit a job."""
        return self._checked("POST", "/v1/jobs", json=job)

    def job(self, job_id: str) -> dict[str, Any]:
        """Return a job as it is now."""
        return self._checked("GET", f"/v1/jobs/{job_id}")

    def watch(
        self, job_id: str, on_progress: Callable[[dict[str, Any]], None], *, every: float = 0.5
    ) -> dict[str, Any]:
        """Follow a job to its end.

        Raises:
            JobFailed: it did not succeed.
        """
        while True:
            job = self.job(job_id)
            on_progress(job)
            if job["state"] in TERMINAL_STATES:
                break
            time.sleep(every)
        if job["state"] != "SUCCEEDED":
            raise JobFailed(
                f"{job['kind']} job {job_id}: {job['state']} {json.dumps(job['error'])}"
            )
        return job

    def items(self, dataset_id: str, number: int) -> Iterator[dict[str, Any]]:
        """Yield the cases of a frozen version, page by page."""
        path, cursor = f"/v1/datasets/{dataset_id}/versions/{number}/items", None
        while True:
            query = {"limit": 200} | ({"cursor": cursor} if cursor else {})
            page = self._checked("GET", path, params=query)
            yield from page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def artifacts(self, job_id: str) -> Iterator[dict[str, Any]]:
        """Yield what a job left behind."""
        yield from self._checked("GET", f"/v1/jobs/{job_id}/artifacts")["items"]

    def download(self, path: str, target: Path) -> None:
        """Save the body of a GET."""
        with self._http.stream("GET", path) as response:
            if response.is_error:
                response.read()
                raise httpx.HTTPStatusError(
                    response.text, request=response.request, response=response
                )
            with target.open("wb") as file:
                for chunk in response.iter_bytes():
                    file.write(chunk)

    def segment(self, image: Path, *, model: str, accept: str) -> httpx.Response:
        """Segment one image; the answer's form is chosen by `accept`."""
        response = self._http.post(
            "/v1/segment",
            params={"model": model},
            content=image.read_bytes(),
            headers={"Accept": accept, "Content-Type": "application/octet-stream"},
        )
        _raise_problem(response)
        return response

    def _checked(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        response = self._http.request(method, path, **request)
        _raise_problem(response)
        answer: dict[str, Any] = response.json()
        return answer


def _raise_problem(response: httpx.Response) -> None:
    if response.is_error:
        raise httpx.HTTPStatusError(
            f"{response.status_code} {response.text}", request=response.request, response=response
        )
