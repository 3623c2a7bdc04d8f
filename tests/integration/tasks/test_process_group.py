"""What real processes tell each other, over gloo as on machines without GPUs."""

from pathlib import Path

from tests.integration.storage.examples import in_processes

TALK = """
import os, sys, torch
from pydantic import TypeAdapter
from torch import nn
from pathlib import Path
number, place = sys.argv[1:]
os.environ |= {"RANK": number, "WORLD_SIZE": "2", "LOCAL_RANK": "0"}
from rankscope.tasks.process_group import join_group, trained_and_moments

wait()
group = join_group(Path(place))
is_first = group.number == 0
assert (group.number, group.size) == (int(number), 2)
assert "RANK" not in os.environ

def make() -> list[float | None]:
    assert is_first
    return [0.1, None, 1e-300]

assert group.from_first(make, TypeAdapter(list[float | None])) == [0.1, None, 1e-300]
assert group.total(0.5 if is_first else 2.0) == 2.5

one, other, none = (nn.Parameter(torch.zeros(2, 3)) for _ in range(3))
one.grad = torch.full((2, 3), 1.0 if is_first else 10.0)
if is_first:
    other.grad = torch.ones(2, 3)
group.sum_gradients([one, other, none])
assert torch.equal(one.grad, torch.full((2, 3), 11.0))
assert torch.equal(other.grad, torch.ones(2, 3))
assert none.grad is None

torch.manual_seed(group.number)
model = nn.Linear(4, 3)
optimizer = torch.optim.AdamW(model.parameters(), fused=True)
model(torch.randn(2, 4)).sum().backward()
optimizer.step()
turned = torch.randn(5, 2).T
everything = [*trained_and_moments(model, optimizer), turned]
assert len(everything) == 2 * 4 + 1
before = [tensor.clone() for tensor in everything]
group.copy_from_first(everything)
assert is_first == all(map(torch.equal, before, everything))
print(sum(float(tensor.double().sum()) for tensor in everything), flush=True)
os._exit(0)  # as training processes end: torch's teardown may abort
"""


def test_processes_hear_the_first_and_add_up_what_each_has(tmp_path: Path) -> None:
    place = str(tmp_path / "here")
    first, second = in_processes(TALK, [["0", place], ["1", place]])
    assert first == second
    assert float(first) != 0
