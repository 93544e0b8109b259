"""One process, and two under torchrun."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from amlp.checkpoint import list_checkpoints, read_info
from amlp.engine import Processes, processes

ROOT = Path(__file__).parents[3]
_RUN = """
import sys
from pathlib import Path
from amlp.pretrain import pretrain
from tests.tiny_runs import pretrain_config
pretrain(pretrain_config(epochs=2), Path(sys.argv[1]), Path(sys.argv[2]))
"""


def test_without_torchrun_there_is_one_process() -> None:
    with processes() as team:
        assert (team.rank, team.world) == (0, 1)
        assert team.is_first


def test_one_process_needs_no_agreement() -> None:
    alone = Processes(0, 1, torch.device("cpu"))
    done: list[int] = []

    alone.first_does(lambda: done.append(1))

    assert done == [1]
    assert alone.in_turn(lambda: 7) == 7
    assert alone.agree(True)
    assert not alone.agree(False)


def test_one_process_trains_the_network_itself() -> None:
    network = torch.nn.Linear(1, 1)

    assert Processes(0, 1, torch.device("cpu")).wrap(network) is network


@pytest.mark.slow
@pytest.mark.integration
def test_two_processes_train_one_run(phantoms: Path, tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(_RUN)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]

    subprocess.run(
        [*launch, str(script), str(phantoms), str(tmp_path / "out")],
        check=True,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"},
        timeout=250,
    )

    newest = list_checkpoints(tmp_path / "out" / "checkpoints")[-1]
    assert read_info(newest).epoch == 2
