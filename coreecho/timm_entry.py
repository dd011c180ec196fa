"""The encoder under a name in timm's registry: ``timm.create_model("uniformer_small_video", num_classes=400)``.

Neither timm nor PyTorch is loaded for it before somebody needs them.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from coreecho.errors import SettingsError

if TYPE_CHECKING:
    from coreecho.uniformer import UniFormer


def uniformer_small_video(pretrained: bool = False, **options: Any) -> UniFormer:
    """The entry in timm's registry: `coreecho.uniformer.uniformer_small` with timm's names for its options.

    Args:
        pretrained: must be false; the published weights are a file of the user's (``checkpoint_path``).
        options: ``num_classes``, ``drop_rate``, and fields of `coreecho.settings.EncoderSettings`.

    Raises:
        SettingsError: weights were asked for, the clips are not RGB, or an option does not exist.
    """
    if pretrained:
        raise SettingsError("no weights are downloaded; give the published file as checkpoint_path instead")
    for name in ("pretrained_cfg", "pretrained_cfg_overlay", "cache_dir"):
        options.pop(name, None)
    if options.pop("in_chans", 3) != 3:
        raise SettingsError("uniformer_small_video takes clips of three channels; leave in_chans out")
    if "drop_rate" in options:
        options["dropout"] = options.pop("drop_rate")
    from coreecho.uniformer import uniformer_small

    return uniformer_small(options.pop("num_classes", 400), **options)


def register_with_timm() -> None:
    """Puts the encoder into timm's registry: now if timm is loaded, else as soon as it is.

    Loading timm takes longer than loading all of this package, and most of its users never need it.
    """
    if "timm" in sys.modules:
        _register()
    elif not any(isinstance(finder, _TimmFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _TimmFinder())


def _register() -> None:
    from timm.models import is_model, register_model

    if not is_model(uniformer_small_video.__name__):
        register_model(uniformer_small_video)


class _TimmFinder(importlib.abc.MetaPathFinder):
    """Waits until timm is loaded, lets the other finders find it, and registers then.

    It stays until that has happened: other libraries look whether timm is there (`importlib.util.find_spec`) without
    loading it.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != "timm":
            return None
        others = [finder for finder in sys.meta_path if finder is not self]
        found = (finder.find_spec(fullname, path, target) for finder in others)
        spec = next((each for each in found if each is not None), None)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_and_register(module: ModuleType) -> None:
                load(module)
                _register()
                if self in sys.meta_path:
                    sys.meta_path.remove(self)

            spec.loader.exec_module = load_and_register  # type: ignore[method-assign]
        return spec
