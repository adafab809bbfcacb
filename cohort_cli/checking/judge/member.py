"""`member`: the member's code as an acceptance test sees it, although it runs in another process.

y = member.attention.softmax(x, dim=-1)            # tensors travel by value
attn = member.attention.CausalSelfAttention(12, 3, 8).double()
attn(x); attn.parameters(); member.vjp(attn, x, cotangent=g, params_of=attn)
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

from cohort_cli.checking import codec
from cohort_cli.checking.judge.stopped import MemberRaised, Stopped, where_from
from cohort_cli.checking.results import Where
from cohort_cli.checking.states import State
from cohort_cli.checking.wire import Message, WireError

if TYPE_CHECKING:
    from torch import Tensor

Ask = Callable[[Message, bytes], tuple[Message, bytes]]


class Line:
    """The connection to one stage, and what was noticed on the way."""

    def __init__(self, ask: Ask, cpu_seconds: Callable[[], float] = time.process_time) -> None:
        self.ask = ask
        self.cpu_seconds = cpu_seconds
        self.where: Where | None = None  # the member's function that was called last
        self.called: set[str] = set()  # paths of functions and classes that were called
        self.broke: dict[str, list[str]] = {}  # path -> forbidden operators that ran

    def send(
        self, op: str, target: dict[str, Any], *args: Any, kwargs: dict[str, Any] | None = None, **extra: Any
    ) -> Any:
        """Carry out `op` on the other side. Raises MemberRaised, or Stopped."""
        coded, table, data = codec.encode([list(args), kwargs or {}], _as_object)
        message = {"op": op, **target, **extra, "args": coded[0], "kwargs": coded[1], "tensors": table}
        reply, raw = self.ask(message, data)
        error = reply.get("error")
        if isinstance(error, dict):
            self.where = where_from(error.get("where")) or self.where
            kinds = error.get("kinds")
            raise MemberRaised(
                str(error.get("type"))[:100],
                str(error.get("message"))[:4000],
                self.where,
                tuple(str(kind) for kind in kinds[:10]) if isinstance(kinds, list) else (),
            )
        self.where = where_from(reply.get("where")) or self.where
        if isinstance(broke := reply.get("broke"), list) and broke:
            self.broke.setdefault(".".join(target.get("path", ())) or "its result", []).extend(
                str(op) for op in broke
            )
        try:
            return codec.decode(
                reply.get("value"), reply.get("tensors", []), raw, lambda n, t: RemoteObject(self, n, t)
            )
        except WireError as problem:
            raise Stopped(State.CRASH, f"Its answer was not one: {problem}.") from None


class Member:
    """The member's modules, by name, and what can be done with the objects in them."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def __getattr__(self, module: str) -> RemotePath:
        if module.startswith("__"):
            raise AttributeError(module)
        return RemotePath(self._line, (module,))

    def get(self, target: RemoteObject, name: str) -> Any:
        """An attribute of a remote object."""
        return self._line.send("get", {**target._target, "name": name})

    def echo(self, function: Remote, *args: Any, **kwargs: Any) -> tuple[Any, list[Any]]:
        """The result of a call, and its positional arguments as they are afterwards."""
        value, after = self._line.send("echo", function._target, *args, kwargs=kwargs)
        return value, after

    def deepcopy(self, target: RemoteObject) -> RemoteObject:
        copied: RemoteObject = self._line.send("deepcopy", target._target)
        return copied

    def seed(self, number: int) -> None:
        """Start Python's and torch's random numbers at `number` where the member's code runs."""
        self._line.send("seed", {}, number)

    def cpu_seconds(self) -> float:
        """How much CPU time the member's code has used up to now, in steps of about 0.01 s."""
        return self._line.cpu_seconds()

    # Files in the check's own folder. Names are relative to it.

    def write(self, name: str, data: bytes) -> str:
        """Make a file; its full path, for the member's code."""
        return str(self._line.send("write", {}, name, data))

    def path(self, name: str) -> str:
        """The full path of a file that need not exist."""
        return str(self._line.send("path", {}, name))

    def read(self, name: str) -> bytes:
        data: bytes = self._line.send("read", {}, name)
        return data

    def files(self, folder: str) -> list[str]:
        """Names of what lies in a folder, sorted; none if there is no such folder."""
        return list(self._line.send("files", {}, folder))

    def feed(self, items: Sequence[Any], times: int = 1, folder: str = "") -> RemoteObject:
        """An iterable for the member's code: `items`, `times` over. It remembers how it was used:

        `member.get(feed, "pulled")` items were taken so far; `member.get(feed, "seen")` files lay in `folder` at each.
        """
        fed: RemoteObject = self._line.send("feed", {}, list(items), times, folder)
        return fed

    def bring(self, module: ModuleType) -> RemoteObject:
        """A module of the kit's, made again from its source where the member's code runs:

        toys = member.bring(toy_models); model = toys.Counter(7); member.loss.evaluate(model, batches)
        It may import installed libraries and the member's modules.
        """
        brought: RemoteObject = self._line.send("bring", {}, module.__name__, inspect.getsource(module))
        return brought

    def vjp(
        self,
        function: Remote,
        *args: Any,
        cotangent: Tensor | None = None,
        params_of: RemoteObject | None = None,
        pick: int | None = None,
        **kwargs: Any,
    ) -> Vjp:
        """Output and gradients of a call: a vector-Jacobian product with `cotangent` (None: the output is a scalar).

        `pick` takes one item of an output that is a tuple; `params_of` asks for the gradients of its parameters too.
        """
        extra = {"of": params_of._number if params_of is not None else None, "pick": pick}
        output, inputs, parameters = self._line.send(
            "vjp", function._target, cotangent, *args, kwargs=kwargs, **extra
        )
        return Vjp(output, inputs, parameters)


@dataclass
class Vjp:
    """What came out, d(output · cotangent)/d(argument) for each argument, and for each parameter by name."""

    output: Tensor
    inputs: list[Tensor | None]
    parameters: dict[str, Tensor | None]


class Remote:
    """Something that can be called on the other side."""

    _line: Line
    _target: dict[str, Any]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if "path" in self._target:
            self._line.called.add(".".join(self._target["path"]))
        return self._line.send("call", self._target, *args, kwargs=kwargs)


class RemotePath(Remote):
    """`member.attention`, `member.attention.softmax`: a module, or a name in it. Nothing is sent before a call."""

    def __init__(self, line: Line, path: tuple[str, ...]) -> None:
        self._line = line
        self._target = {"path": list(path)}

    def __getattr__(self, name: str) -> RemotePath:
        if name.startswith("__"):
            raise AttributeError(name)
        return RemotePath(self._line, (*self._target["path"], name))


class RemoteMethod(Remote):
    def __init__(self, line: Line, number: int, name: str) -> None:
        self._line = line
        self._target = {"object": number, "name": name}


class RemoteObject(Remote):
    """An object that stays on the other side; here it is a number."""

    def __init__(self, line: Line, number: int, type_name: str) -> None:
        self._line = line
        self._number = number
        self._type = type_name
        self._target = {"object": number}

    def __getattr__(self, name: str) -> RemoteMethod:
        if name.startswith("__"):
            raise AttributeError(name)
        return RemoteMethod(self._line, self._number, name)

    def __repr__(self) -> str:
        return f"<a {self._type} of the member's>"

    def parameters(self) -> dict[str, Tensor]:
        """Name -> value; a tied parameter appears once, under its first name."""
        return dict(self._line.send("parameters", self._target))

    def buffers(self) -> dict[str, Tensor]:
        return dict(self._line.send("buffers", self._target))

    def parameter_info(self) -> dict[str, dict[str, Any]]:
        """Name -> shape, dtype, requires_grad, same_as (a tied parameter's first name), owner (module's type)."""
        return dict(self._line.send("parameter_info", self._target))

    def assign(self, values: dict[str, Tensor]) -> None:
        """Write values into parameters, by name."""
        self._line.send("assign", self._target, values)

    def __iter__(self) -> Iterator[Any]:
        """Over a generator, or anything else that Python can iterate over, one item at a time."""
        iterator: RemoteObject = self._line.send("iter", self._target)
        return iterator

    def __next__(self) -> Any:
        there_is_one, item = self._line.send("next", self._target)
        if not there_is_one:
            raise StopIteration
        return item


def _as_object(value: Any) -> dict[str, Any]:
    if isinstance(value, RemoteObject):
        return {"$": "object", "v": value._number, "type": value._type}
    raise codec.Unsendable(f"a {type(value).__name__} cannot be sent to the member's code")
