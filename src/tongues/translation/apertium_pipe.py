"""One long-lived Apertium pipeline: segments in, segments out, and certainty about which is which.

A pipeline is a chain of some ten programs joined by pipes, in null-flush mode (``-z``): a segment
ends in a NUL byte. Three things are not to be trusted, and the framing here guards against them:

- A program may die or drop a segment in silence, with exit code 0. So each segment carries a
  superblank with its number (``[][#17]``), which every program copies verbatim; an answer without
  its number is a loss. The superblank also keeps the final full stop, which some pairs
  drop at the end of a stream.
- Programs hand a segment on only when the next one arrives. So each batch is followed by blank
  segments that push it out; those of earlier batches are skipped as they come back.
- A program may hang. So a batch has a deadline.
"""

import asyncio
import contextlib
import os
import re
import signal
import tempfile
from collections.abc import Sequence
from typing import IO

_PUSH = b"[#p"
_PUSH_COUNT = 16
_BLOCK_BYTES = 1 << 16
_LAST_WORDS_BYTES = 400
_SPECIAL = re.compile(r"[\[\]$\\/@<>{}]")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_SUPERBLANK = re.compile(r"(?<!\\)\[(?:\\.|[^\]\\])*\]")
# The post-generator eats "~" (its own wake-up mark) and loses a segment's end on "^", escaped or
# not; two code points that Unicode keeps out of texts stand in for them and pass as punctuation.
_STAND_INS = str.maketrans({"^": "\ufdd0", "~": "\ufdd1"})
_STAND_OUTS = str.maketrans({"\ufdd0": "^", "\ufdd1": "~"})
UNTRANSLATABLE = re.compile("[\0\ufdd0\ufdd1]")
"""Characters that no segment may hold: the framing needs them."""


class PipeBrokenError(Exception):
    """The pipeline stopped answering in the middle of a batch.

    Args:
        answered: answers to the first segments of the batch; the next segment is the suspect.
        reason: "swallowed" (it dropped or died on a segment) or "timeout".
        detail: what was seen.
    """

    def __init__(self, answered: list[str], reason: str, detail: str) -> None:
        self.answered, self.reason, self.detail = answered, reason, detail
        super().__init__(f"{reason}: {detail}")


def escape(text: str) -> str:
    """Write plain text in the Apertium stream format; "^" and "~" become stand-ins."""
    return _SPECIAL.sub(r"\\\g<0>", text.translate(_STAND_INS))


def unescape(stream: str) -> str:
    """The inverse of `escape`; superblanks, which are never text, are removed."""
    return _ESCAPED.sub(r"\1", _SUPERBLANK.sub("", stream)).translate(_STAND_OUTS)


class ApertiumPipe:
    """A running pipeline.

    Args:
        commands: program and arguments of each stage, in order.
    """

    def __init__(self, commands: Sequence[Sequence[str]]) -> None:
        self._commands = commands
        self._stages: list[asyncio.subprocess.Process] = []
        self._buffer = b""
        self._number = 0
        self._stderr: IO[bytes] | None = None

    async def exchange(self, texts: Sequence[str], timeout_s: float) -> list[str]:
        """Translate a batch of plain texts.

        Args:
            texts: without NUL characters.
            timeout_s: longest wait for the whole batch.

        Returns:
            As many texts, in order.

        Raises:
            PipeBrokenError: not all were answered; the pipeline is stopped, the next call starts a new one.
        """
        answered: list[str] = []
        try:
            async with asyncio.timeout(timeout_s):
                await self._start()
                await self._send_and_read(texts, answered)
        except TimeoutError:
            await self.stop()
            raise PipeBrokenError(answered, "timeout", f"no answer within {timeout_s:g} s") from None
        except (OSError, EOFError) as error:
            detail = await self._last_words(str(error))
            raise PipeBrokenError(answered, "swallowed", detail) from None
        except BaseException:
            await self.stop()
            raise
        return answered

    async def stop(self) -> None:
        """Kill all stages; harmless if none runs."""
        stages, self._stages, self._buffer = self._stages, [], b""
        for stage in stages:
            # Not stage.kill(): it may reap the process before the event loop's own watcher does.
            if stage.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(stage.pid, signal.SIGKILL)
        for stage in stages:
            await stage.wait()
            # Closing the transport here frees its pipes at once; the event loop may end before it would.
            stage._transport.close()  # type: ignore[attr-defined]
        if self._stderr is not None:
            self._stderr.close()

    async def _start(self) -> None:
        """Start the stages without a shell: a shell would hold the output open after a stage has died."""
        if self._stages:
            return
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 (closed by stop)
        upstream = asyncio.subprocess.PIPE
        for command in self._commands[:-1]:
            reading, writing = os.pipe()
            try:
                await self._start_stage(command, upstream, writing)
            except BaseException:
                os.close(reading)
                raise
            finally:
                os.close(writing)
            upstream = reading
        await self._start_stage(self._commands[-1], upstream, asyncio.subprocess.PIPE)

    async def _start_stage(self, command: Sequence[str], stdin: int, stdout: int) -> None:
        """Start one program; its end of the pipe before it is closed here, started or not."""
        try:
            stage = await asyncio.create_subprocess_exec(
                *command,
                stdin=stdin,
                stdout=stdout,
                stderr=self._stderr,
                start_new_session=True,  # an interrupt at the terminal is ours to handle
                env={**os.environ, "LC_ALL": "C.UTF-8"},
            )
        finally:
            if stdin != asyncio.subprocess.PIPE:
                os.close(stdin)
        self._stages.append(stage)

    async def _send_and_read(self, texts: Sequence[str], answered: list[str]) -> None:
        numbers = range(self._number + 1, self._number + 1 + len(texts))
        self._number += len(texts)
        frames = [b"%b[][#%d]\0" % (escape(t).encode(), n) for t, n in zip(texts, numbers, strict=True)]
        push = b"%b%d]" % (_PUSH, self._number)
        sending = asyncio.create_task(self._send(b"".join(frames) + (push + b"\0") * _PUSH_COUNT))
        try:
            for number in numbers:
                answered.append(await self._answer(number, push))
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    async def _send(self, data: bytes) -> None:
        stdin = self._stages[0].stdin
        assert stdin is not None  # noqa: S101 (opened with PIPE)
        stdin.write(data)
        await stdin.drain()

    async def _answer(self, number: int, push: bytes) -> str:
        segment = await self._segment()
        while segment.startswith(_PUSH) and segment != push:  # left over from earlier batches
            segment = await self._segment()
        tail = b"[][#%d]" % number
        if not segment.endswith(tail):
            seen = "nothing" if segment in (b"", push) else repr(segment[-60:])
            raise EOFError(f"the pipeline gave {seen} for the segment, without its number")
        return unescape(segment.removesuffix(tail).decode())

    async def _segment(self) -> bytes:
        stdout = self._stages[-1].stdout
        assert stdout is not None  # noqa: S101 (opened with PIPE)
        parts = [self._buffer]
        while b"\0" not in parts[-1]:
            block = await stdout.read(_BLOCK_BYTES)
            if not block:
                raise EOFError("the pipeline ended")
            parts.append(block)
        segment, _, self._buffer = b"".join(parts).partition(b"\0")
        return segment

    async def _last_words(self, what: str) -> str:
        """What happened, with the end of what the stages wrote on standard error."""
        said = b""
        if self._stderr is not None:
            length = os.fstat(self._stderr.fileno()).st_size
            said = os.pread(self._stderr.fileno(), _LAST_WORDS_BYTES, max(length - _LAST_WORDS_BYTES, 0))
        await self.stop()
        words = " ".join(said.decode(errors="replace").split())
        return f"{what}; it said: {words}" if words else what
