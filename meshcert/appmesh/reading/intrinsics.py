"""
CloudFormation's functions, as far as a template says their values (CloudFormation user guide, intrinsic functions).

What it does not say, an import of another stack or a parameter without a value for example, is
:class:`~meshcert.appmesh.resources.Unset`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from meshcert.appmesh.resources import Unset, derived

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST = 4096
"""Characters of a text that functions put together."""
_DEEPEST = 48
_VARIABLE = re.compile(r"\$\{(!?)([^${}\n]{1,255})\}")
_INDEX = re.compile(r"[0-9]{1,5}", re.ASCII)
_PARAMETERS = 2
_CHOICES = 3


class _NoValue(NamedTuple):
    """``AWS::NoValue``: a key with it is no key."""


NO_VALUE = _NoValue()


class Intrinsics:
    """
    Evaluates values of one template.

    Args:
        referent: The value of a ``Ref``: of a parameter, a pseudo parameter or a resource; None if unknown.
        attribute: The value of ``Fn::GetAtt`` by logical id and attribute; None if unknown.
        imported: The value of an export by its name; None if unknown.
        condition: Whether a condition holds; None if unknown.
        mapped: A value of ``Mappings`` by its three keys; None if there is none.
    """

    def __init__(
        self,
        referent: Callable[[str], Any],
        attribute: Callable[[str, str], Any],
        imported: Callable[[str], Any],
        condition: Callable[[str], bool | None],
        mapped: Callable[[str, str, str], Any],
    ) -> None:
        self._referent, self._attribute, self._imported = referent, attribute, imported
        self._condition, self._mapped = condition, mapped

    def value(self, written: Any, level: int = 0) -> Any:
        """What a value comes to."""
        if level > _DEEPEST:
            return Unset("(nested too deeply)")
        if isinstance(written, list):
            made = [self.value(item, level + 1) for item in written]
            return [item for item in made if item is not NO_VALUE]
        if not isinstance(written, dict):
            return written
        if len(written) == 1:
            name, argument = next(iter(written.items()))
            if name == "Ref" or str(name).startswith("Fn::"):
                return self._call(str(name), argument, level + 1)
        made_ = {key: self.value(inner, level + 1) for key, inner in written.items()}
        return {key: inner for key, inner in made_.items() if inner is not NO_VALUE}

    def holds(self, written: Any, level: int = 0) -> bool | None:
        """Whether a condition holds; None if that depends on what nobody says."""
        if not isinstance(written, dict) or len(written) != 1 or level > _DEEPEST:
            return None
        name, argument = next(iter(written.items()))
        items = argument if isinstance(argument, list) else []
        if name == "Condition":
            return self._condition(str(argument))
        if name == "Fn::Equals" and len(items) == _PARAMETERS:
            return _equal(*(self.value(item, level + 1) for item in items))
        return _combined(str(name), [self.holds(item, level + 1) for item in items])

    def _call(self, name: str, argument: Any, level: int) -> Any:
        if name == "Ref":
            return self._of_reference(str(argument))
        made = None
        if name == "Fn::GetAtt":
            made = self._of_attribute(self.value(argument, level))
        elif name == "Fn::Sub":
            made = self._substituted(argument, level)
        elif name == "Fn::If":
            made = self._chosen(argument, level)
        else:
            made = self._of_values(name, self.value(argument, level))
        return (
            _unknown(f"{name.removeprefix('Fn::')} {argument if isinstance(argument, str) else ''}".strip())
            if made is None
            else made
        )

    def _of_values(self, name: str, argument: Any) -> Any:
        if name == "Fn::ImportValue" and isinstance(argument, str):
            found = self._imported(argument)
            return _unknown(argument) if found is None else found
        items = argument if isinstance(argument, list) else []
        if name == "Fn::FindInMap" and len(items) >= _CHOICES:
            return self._mapped(*(_text(item) for item in items[:3]))
        of_two = {"Fn::Join": _joined, "Fn::Select": _selected, "Fn::Split": _split}.get(name)
        return of_two(*items) if of_two and len(items) == _PARAMETERS else None

    def _of_reference(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return NO_VALUE
        found = self._referent(name)
        return _unknown(name) if found is None else found

    def _of_attribute(self, argument: Any) -> Any:
        if isinstance(argument, list) and len(argument) == _PARAMETERS:
            logical, attribute = (_text(each) for each in argument)
        elif isinstance(argument, str) and "." in argument:
            logical, _, attribute = argument.partition(".")
        else:
            return None
        found = self._attribute(logical, attribute)
        return _unknown(f"{logical}.{attribute}") if found is None else found

    def _substituted(self, argument: Any, level: int) -> Any:
        text, own = (argument, {}) if isinstance(argument, str) else ("", {})
        if isinstance(argument, list) and len(argument) == _PARAMETERS and isinstance(argument[1], dict):
            text, own = str(argument[0]), {str(key): self.value(value, level) for key, value in argument[1].items()}
        elif not isinstance(argument, str):
            return None
        used: list[str] = []

        def put(found: re.Match[str]) -> str:
            literal, name = found[1], found[2].strip()
            if literal:
                return f"${{{name}}}"
            if name in own:
                value = own[name]
            elif "." in name:
                value = self._of_attribute(name)
            else:
                value = self._of_reference(name)
            said = _text(value)
            used.append(said)
            return said[:LONGEST]

        return derived(_VARIABLE.sub(put, text[:LONGEST])[:LONGEST], *used)

    def _chosen(self, argument: Any, level: int) -> Any:
        if not isinstance(argument, list) or len(argument) != _CHOICES:
            return None
        # Of two that nobody can choose between, the first: the condition is asked about where it is looked up.
        holds = self._condition(str(argument[0]))
        return self.value(argument[2] if holds is False else argument[1], level)


def _equal(one: Any, other: Any) -> bool | None:
    if one != other and (isinstance(one, Unset) or isinstance(other, Unset)):
        return None
    return str(one) == str(other)


def _combined(name: str, said: list[bool | None]) -> bool | None:
    """Conditions put together; None if that depends on one that nobody knows."""
    decisive = {"Fn::And": False, "Fn::Or": True}.get(name)
    if name == "Fn::Not" and len(said) == 1:
        return None if said[0] is None else not said[0]
    if decisive is None or not said:
        return None
    if decisive in said:
        return decisive
    return None if None in said else not decisive


def _joined(between: Any, items: Any) -> Any:
    if not isinstance(items, list):
        return None
    # Put together piece by piece: a file of a megabyte can ask for a text of a hundred gigabytes.
    texts = [_text(item) for item in items[:LONGEST]]
    joined, glue = "", _text(between)[:LONGEST]
    for number, text in enumerate(texts):
        joined += (glue if number else "") + text[:LONGEST]
        if len(joined) >= LONGEST:
            break
    return derived(joined[:LONGEST], *texts)


def _selected(index: Any, items: Any) -> Any:
    number = int(str(index)) if _INDEX.fullmatch(str(index)) else -1
    return items[number] if isinstance(items, list) and 0 <= number < len(items) else None


def _split(between: Any, text: Any) -> Any:
    if not _text(between):
        return None
    return [derived(each, _text(text)) for each in _text(text)[:LONGEST].split(_text(between))]


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if isinstance(value, dict | list) or value is None or value is NO_VALUE else str(value)


def _unknown(name: str) -> Unset:
    return Unset(f"${{{name[:200]}}}", (name[:200],))
