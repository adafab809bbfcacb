"""The stage: where a member's objects live and the judge's requests are carried out.

In the player process it serves the member's code over a socket. The judge uses the same class inside its own process
for the kit's known mistakes, so that both give comparable answers.

A request is a JSON object with "op" and its fields; the answer has "value", or "error". Targets are either a path
("attention.softmax": module, then attributes) or the number of an object that an earlier answer kept here.
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any

from cohort_cli.checking import codec, tensors
from cohort_cli.checking.player.feed import Feed

if TYPE_CHECKING:
    from torch import Tensor, nn

MAX_TEXT = 4000

Reply = tuple[dict[str, Any], bytes]


class Stage:
    """Holds the member's objects and answers requests about them.

    work: the folder of the member's files, to say where something happened.
    rules: target path -> names of torch operators that must not run while it runs.
    load: imports a module of the member's by name.
    scratch: the folder that checks may write to.
    """

    def __init__(
        self,
        work: str,
        rules: dict[str, list[str]],
        load: Callable[[str], ModuleType] = importlib.import_module,
        scratch: str = "",
    ) -> None:
        self.work = os.path.join(os.path.realpath(work), "")
        self.scratch = scratch or os.getcwd()
        self.rules = rules
        self.load = load
        self.objects: dict[int, Any] = {}
        self.origins: dict[int, str] = {}  # object -> the path of the class that made it

    def preload(self, module: str) -> None:
        """Import this module while the judge is still busy with another check. What goes wrong is kept for later:

        the judge's first request imports the module again, and that error is the one that is reported.
        """
        if module:
            with contextlib.suppress(BaseException):
                self.load(module)

    def handle(self, request: dict[str, Any], data: bytes) -> Reply:
        """Carry out one request. Whatever the member's code raises comes back as an answer."""
        place: dict[str, Any] | None = None
        try:
            operation = getattr(self, "op_" + str(request.get("op")))
            target, origin = self._target(request)
            place = self._place(target)
            args, kwargs = codec.decode(
                [request["args"], request["kwargs"]], request["tensors"], data, self._find
            )
            broke: list[str] = []
            with _recorder(self.rules.get(origin, []), broke):
                value = operation(request, target, args, kwargs)
            coded, table, raw = codec.encode(value, self._keeper(target, origin))
            return {"value": coded, "tensors": table, "where": place, "broke": broke}, raw
        except codec.Unsendable as error:
            return {"error": {"type": "Unsendable", "message": str(error), "where": place}}, b""
        except BaseException as error:  # SystemExit and KeyboardInterrupt too: they must not end the player
            return {"error": self._describe(error, place)}, b""

    # What the judge can ask for. `target` is the object meant; args and kwargs are the judge's copies.

    def op_call(self, request: dict[str, Any], target: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        return target(*args, **kwargs)

    def op_echo(self, request: dict[str, Any], target: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """The result, and the arguments as they are after the call."""
        return target(*args, **kwargs), args

    def op_get(self, request: dict[str, Any], target: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        return target

    def op_deepcopy(
        self, request: dict[str, Any], target: Any, args: list[Any], kwargs: dict[str, Any]
    ) -> Any:
        return copy.deepcopy(target)

    def op_iter(self, request: dict[str, Any], target: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        return iter(target)

    def op_next(self, request: dict[str, Any], target: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """(True, item), or (False, None) at the end."""
        try:
            return True, next(target)
        except StopIteration:
            return False, None

    def op_seed(self, request: dict[str, Any], target: Any, args: list[Any], kwargs: dict[str, Any]) -> None:
        tensors.seed(args[0])

    def op_feed(self, request: dict[str, Any], target: Any, args: list[Any], kwargs: dict[str, Any]) -> Feed:
        return Feed(args[0], args[1], self._path(args[2]) if args[2] else None)

    def op_bring(
        self, request: dict[str, Any], target: Any, args: list[Any], kwargs: dict[str, Any]
    ) -> ModuleType:
        """A module of the check's own, made from its name and its source. Nobody can import it by that name."""
        name, source = args
        module = ModuleType(name)
        exec(compile(source, f"<{name}, brought by the check>", "exec"), module.__dict__)
        return module

    # Files in scratch, by names relative to it.

    def op_write(self, request: dict[str, Any], target: Any, args: list[Any], kwargs: dict[str, Any]) -> str:
        """Write a file; its full path."""
        path = self._path(args[0])
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(args[1])
        return path

    def op_read(self, request: dict[str, Any], target: Any, args: list[Any], kwargs: dict[str, Any]) -> bytes:
        with open(self._path(args[0]), "rb") as file:
            return file.read()

    def op_files(
        self, request: dict[str, Any], target: Any, args: list[Any], kwargs: dict[str, Any]
    ) -> list[str]:
        """Names of what lies in a folder, sorted; none if there is no such folder."""
        with contextlib.suppress(FileNotFoundError):
            return sorted(os.listdir(self._path(args[0])))
        return []

    def op_path(self, request: dict[str, Any], target: Any, args: list[Any], kwargs: dict[str, Any]) -> str:
        return self._path(args[0])

    def _path(self, name: str) -> str:
        return os.path.join(self.scratch, name)

    # Modules of torch's.

    def op_parameters(
        self, request: dict[str, Any], target: Any, args: list[Any], kwargs: dict[str, Any]
    ) -> Any:
        return dict(_nn().Module.named_parameters(_module(target)))

    def op_buffers(
        self, request: dict[str, Any], target: Any, args: list[Any], kwargs: dict[str, Any]
    ) -> Any:
        return dict(_nn().Module.named_buffers(_module(target)))

    def op_parameter_info(
        self, request: dict[str, Any], target: Any, args: list[Any], kwargs: dict[str, Any]
    ) -> Any:
        """Every name, tied ones too, with shape, dtype, requires_grad, `same_as`, and whether it is x @ W or W @ x."""
        import torch
        from torch import nn

        owners = dict(nn.Module.named_modules(_module(target)))
        info: dict[str, dict[str, Any]] = {}
        first: dict[tuple[int, tuple[int, ...]], str] = {}
        for name, parameter in nn.Module.named_parameters(target, remove_duplicate=False):
            key = (parameter.data_ptr(), tuple(parameter.shape))
            twin = first.setdefault(key, name) if parameter.numel() else name
            owner = owners.get(name.rpartition(".")[0])
            info[name] = {
                "shape": list(parameter.shape),
                "dtype": parameter.dtype,
                "requires_grad": parameter.requires_grad,
                "same_as": None if twin == name else twin,
                "owner": type(owner).__name__,
                "ones": bool(torch.eq(parameter.detach(), 1).all()),
                "zeros": bool(torch.eq(parameter.detach(), 0).all()),
            }
        return info

    def op_assign(
        self, request: dict[str, Any], target: Any, args: list[Any], kwargs: dict[str, Any]
    ) -> None:
        """Write values into the parameters themselves, whatever `load_state_dict` does."""
        import torch

        parameters = dict(torch.nn.Module.named_parameters(_module(target), remove_duplicate=False))
        with torch.no_grad():
            for name, value in args[0].items():
                parameters[name].copy_(value)

    def op_vjp(self, request: dict[str, Any], target: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Output, gradients with respect to floating-point arguments, and with respect to the parameters of `of`.

        The first argument of the request is the cotangent (None for a scalar output), the rest are the call's.
        """
        import torch
        from torch import nn

        cotangent, *inputs = args
        module = self.objects[request["of"]] if request.get("of") is not None else None
        inputs = [value.requires_grad_() if _differentiable(value) else value for value in inputs]
        output = target(*inputs, **kwargs)
        if request.get("pick") is not None:
            output = output[request["pick"]]
        parameters = dict(nn.Module.named_parameters(module)) if module is not None else {}
        wanted = [value for value in inputs if _differentiable(value)]
        wanted += [parameter for parameter in parameters.values() if parameter.requires_grad]
        found: Iterator[Tensor | None] = iter([None] * len(wanted))
        if output.requires_grad:
            if cotangent is not None and cotangent.shape != output.shape:
                raise ValueError(
                    f"the result has the shape {tuple(output.shape)}, not {tuple(cotangent.shape)}"
                )
            # A scalar has the same gradients, and torch needs no symbolic shapes (0.3 s to import) for it.
            scalar = output if cotangent is None else (output * cotangent).sum()
            found = iter(torch.autograd.grad(scalar, wanted, allow_unused=True))
        by_input = [next(found) if _differentiable(value) else None for value in inputs]
        by_name = {name: next(found) if p.requires_grad else None for name, p in parameters.items()}
        return output, by_input, by_name

    # Targets, objects, places.

    def _target(self, request: dict[str, Any]) -> tuple[Any, str]:
        """The object that a request means, and the path it came from ("layers.LayerNorm")."""
        if "object" in request:
            number = request["object"]
            target, origin = self.objects[number], self.origins.get(number, "")
            if request.get("name"):
                target, origin = getattr(target, request["name"]), ""
            return target, origin
        path = request.get("path")
        if not path:
            return None, ""
        module, *names = path
        target = self.load(module)
        for name in names:
            target = getattr(target, name)
        return target, ".".join(path)

    def _find(self, number: int, type_name: str) -> Any:
        return self.objects[number]

    def _keeper(self, target: Any, origin: str) -> Callable[[Any], dict[str, Any]]:
        def keep(value: Any) -> dict[str, Any]:
            number = next((n for n, held in self.objects.items() if held is value), len(self.objects))
            self.objects[number] = value
            if value is not target:
                self.origins.setdefault(number, origin if isinstance(target, type) else "")
            return {"$": "object", "v": number, "type": type(value).__name__[:100]}

        return keep

    def _place(self, target: Any) -> dict[str, Any] | None:
        """Where the code of `target` begins, when it is the member's own."""
        if _is_module(target):
            target = type(target).forward
        elif isinstance(target, type):
            target = getattr(target, "__init__", None)
        code = getattr(getattr(target, "__func__", target), "__code__", None)
        if not isinstance(code, CodeType):
            return None
        file = os.path.realpath(code.co_filename)
        if not file.startswith(self.work):
            return None
        return {"file": file[len(self.work) :], "line": code.co_firstlineno, "name": code.co_qualname[:200]}

    def _describe(self, error: BaseException, place: dict[str, Any] | None) -> dict[str, Any]:
        try:
            message = str(error).replace(os.path.join(self.scratch, ""), "")[:MAX_TEXT]
        except BaseException:
            message = "(the error's own message could not be made)"
        own = None
        if isinstance(error, SyntaxError) and error.filename:
            file = os.path.realpath(error.filename)
            if file.startswith(self.work):
                own = {"file": file[len(self.work) :], "line": error.lineno or 1, "name": ""}
        for frame in traceback.extract_tb(error.__traceback__):
            file = os.path.realpath(frame.filename)
            if file.startswith(self.work):
                own = {"file": file[len(self.work) :], "line": frame.lineno or 1, "name": frame.name}
        return {
            "type": type(error).__name__[:100],
            "kinds": [kind.__name__[:100] for kind in type(error).__mro__[:10]],
            "message": message,
            "where": own or place,
            "raised_in": bool(own),
        }


def _recorder(forbidden: list[str], seen: list[str]) -> contextlib.AbstractContextManager[object]:
    """Watches for torch operators; where no rule is there, nothing is imported for it."""
    if not forbidden:
        return contextlib.nullcontext()
    from cohort_cli.checking.player.recorder import OperatorRecorder

    return OperatorRecorder(forbidden, seen)


def _nn() -> Any:
    from torch import nn

    return nn


def _is_module(target: Any) -> bool:
    torch = tensors.loaded()
    return torch is not None and isinstance(target, torch.nn.Module)


def _module(target: Any) -> nn.Module:
    if not _is_module(target):
        raise TypeError(f"a torch.nn.Module is needed here, not a {type(target).__name__}")
    module: nn.Module = target
    return module


def _differentiable(value: Any) -> bool:
    return tensors.is_tensor(value) and value.is_floating_point()


def forget_modules(folder: str) -> None:
    """Drop every module that was imported from `folder`, so that the next import reads the files again."""
    inside = os.path.join(os.path.realpath(folder), "")
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and os.path.realpath(file).startswith(inside):
            del sys.modules[name]
    importlib.invalidate_caches()
