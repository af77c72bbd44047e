"""Runs one case against a server, in a namespace of its own, and returns what was answered, ready to be compared."""

import asyncio
import base64
import json
import math
import re
from typing import Any
from urllib.parse import urlencode

from moorage.testing.connection import AUTHORIZATION, Pool, Reply
from tests.golden.cases import Case
from tests.golden.names import Names
from tests.golden.watch import ACCEPT, Trace, Watch

#: How often a condition is looked at, in seconds.
_POLL_SECONDS = 0.05

#: How long a new namespace may take to be usable: until it has its ServiceAccount.
_NAMESPACE_SECONDS = 10.0

#: How much of an answer that is not JSON is kept.
_TEXT_MOST = 4000

_VARIABLE = re.compile(r"\$(\w+)")


def namespace_for(case: Case, tag: str) -> str:
    """Return the namespace of a case; the tag tells runs apart."""
    return re.sub(r"[^a-z0-9]+", "-", f"g-{tag}-{case['name']}".lower())[:50].strip("-")


async def answers_to(pool: Pool, case: Case, tag: str, patience_seconds: float) -> list[Any]:
    """Return the answers to a case's steps, cleaned; no wait takes longer than patience_seconds.

    Raises OSError, ValueError and their like when it cannot run.
    """
    namespace = namespace_for(case, tag)
    made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    json_type = ("Content-Type", "application/json")
    await pool.request("POST", "/api/v1/namespaces", [ACCEPT, json_type], json.dumps(made).encode())
    account = f"/api/v1/namespaces/{namespace}/serviceaccounts/default"
    for _ in range(int(_NAMESPACE_SECONDS / _POLL_SECONDS)):
        if (await pool.request("GET", account, [ACCEPT])).status == 200:
            break
        await asyncio.sleep(_POLL_SECONDS)
    try:
        return await Run(pool, case, namespace, patience_seconds).answers()
    finally:
        for request in case.get("cleanup") or []:
            method, path = substituted(request, {"ns": namespace}).split(" ", 1)
            await pool.request(method, path, [ACCEPT])
        await pool.request("DELETE", f"/api/v1/namespaces/{namespace}", [ACCEPT])


class Run:
    """One run of a case: its variables, its open watches, what was answered so far."""

    def __init__(self, pool: Pool, case: Case, namespace: str, patience_seconds: float) -> None:
        self._pool = pool
        self._patience = patience_seconds
        self._case = case
        self._names = Names(namespace, managed_fields=bool(case.get("managedFields")))
        self._variables: dict[str, Any] = {"ns": namespace}
        self._watches: dict[str, tuple[Watch, list[Any]]] = {}
        self._trace = Trace(pool, namespace, self._names)

    async def answers(self) -> list[Any]:
        """Do all steps and return their answers, None where none is compared."""
        answers = [await self._do(step) for step in self._case["steps"]]
        return [self._names.clean(answer) for answer in answers]

    async def _do(self, step: dict[str, Any]) -> Any:
        match step:
            case {"sleep": seconds}:
                await asyncio.sleep(seconds)
            case {"do": _} | {"wait": _}:
                return await self._ask(step)
            case {"watch": path}:
                await self._begin(path, step)
                return await self._end(path, step.get("seconds", 2))
            case {"begin": path}:
                await self._begin(path, step)
                await asyncio.sleep(2 * _POLL_SECONDS)  # the recording gave the watch this much, too
            case {"end": path}:
                return await self._end(path, step.get("seconds", 1))
            case {"trace": "begin"}:
                await self._trace.begin(step.get("order", ["pods", "persistentvolumeclaims"]))
            case {"trace": "end"}:
                is_sorted = bool(self._case.get("sorted"))
                return {"trace": await self._trace.finish(step.get("seconds", 1), is_sorted=is_sorted)}
            case _:
                raise ValueError(f"{self._case['name']}: unknown step {step}")
        return None

    async def _ask(self, step: dict[str, Any]) -> Any:
        answer = answer_of(await self._request(step))
        if "wait" in step:
            answer = await self._wait(step, answer)
        body = answer.get("body")
        for variable, path in (step.get("capture") or {}).items():
            value = value_at(body, path)
            self._variables[variable] = "" if value is None else value
        if step.get("quiet"):
            return None
        self._names.learn(body)
        only = step.get("only")
        if only is None or not isinstance(body, dict):
            return answer
        return {**answer, "body": {path: value_at(body, path) for path in only}}

    async def _wait(self, step: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        """Ask until the condition holds; an answer that says so if it does not in time."""
        seconds, loop = step.get("timeout", 30), asyncio.get_running_loop()
        end = loop.time() + min(seconds, self._patience)
        while not self._is_met(step, answer):
            if loop.time() >= end:
                text = f"condition not met in {seconds} s"
                if math.isfinite(self._patience):
                    self._patience = 0.5  # who has waited in vain once will do so again
                return {"status": answer["status"], "timeout": text, "body": answer.get("body")}
            await asyncio.sleep(_POLL_SECONDS)
            answer = answer_of(await self._request(step))
        return answer

    def _is_met(self, step: dict[str, Any], answer: dict[str, Any]) -> bool:
        if step.get("gone"):
            return bool(answer["status"] == 404)
        wanted, body = step.get("until") or {}, answer.get("body")
        return all(value_at(body, path) == self._filled(value) for path, value in wanted.items())

    async def _request(self, step: dict[str, Any]) -> Reply:
        method, path = self._filled(step.get("do") or step["wait"]).split(" ", 1)
        query, body = self._filled(step.get("query")), self._body(step)
        headers = {"Accept": "application/json", "Content-Type": "application/json" if body is not None else None}
        headers.update(self._filled(step.get("headers")) or {})
        user, *groups = (self._filled(step.get("as")) or "").split(",")
        sent = [(name, value) for name, value in headers.items() if value is not None or name == AUTHORIZATION]
        sent += [("Impersonate-User", user)] * bool(user) + [("Impersonate-Group", group) for group in groups]
        target = f"{path}?{urlencode(query, doseq=True)}" if query else path
        return await self._pool.request(method, target, sent, body)

    def _body(self, step: dict[str, Any]) -> bytes | None:
        if "text" in step:
            return str(self._filled(step["text"])).encode()
        if "b64" in step:
            return base64.b64decode(step["b64"])
        return json.dumps(self._filled(step["body"])).encode() if "body" in step else None

    async def _begin(self, path: str, step: dict[str, Any]) -> None:
        lines: list[Any] = []
        target, query, count = self._filled(path), self._filled(step.get("query")), step.get("count")
        self._watches[path] = (await Watch.open(self._pool.endpoint, target, query, lines.append, count), lines)

    async def _end(self, path: str, seconds: float) -> Any:
        watch, lines = self._watches.pop(path)
        await watch.finish(seconds)
        self._names.learn(lines)
        return {"events": lines}

    def _filled(self, value: Any) -> Any:
        return substituted(value, self._variables)


def answer_of(reply: Reply) -> dict[str, Any]:
    """Return an HTTP answer as cases record it: status, warnings in order, and the body or its text."""
    answer: dict[str, Any] = {"status": reply.status}
    if warnings := reply.all("warning"):
        answer["warnings"] = sorted(warnings)
    content_type = reply.header("content-type").split(";")[0]
    text = reply.body.decode("utf-8", "replace")
    if "json" not in content_type:
        return {**answer, "contentType": content_type, "text": text[:_TEXT_MOST]}
    try:
        return {**answer, "body": json.loads(reply.body)}
    except ValueError:
        return {**answer, "text": text}


def value_at(value: Any, path: str) -> Any:
    """Return what stands at a dotted path ("~1" for a dot in a key, numbers index lists); None if nothing does."""
    for step in path.split(".") if path else ():
        key = step.replace("~1", ".")
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and key.lstrip("-").isdigit() and -len(value) <= int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value


def substituted(value: Any, variables: dict[str, Any]) -> Any:
    """Return a value with `$name` replaced by variables; a text that is one variable becomes its value."""
    if isinstance(value, str):
        whole = variables.get(value[1:]) if value.startswith("$") else None
        if whole is not None and not isinstance(whole, str):
            return whole
        return _VARIABLE.sub(lambda found: str(variables.get(found[1], found[0])), value)
    if isinstance(value, dict):
        return {substituted(key, variables): substituted(each, variables) for key, each in value.items()}
    return [substituted(each, variables) for each in value] if isinstance(value, list) else value
