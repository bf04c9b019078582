"""A script is played as written."""

import asyncio

import pytest

from smtpeter.testing.network import Network
from smtpeter.testing.script_host import ScriptHost
from smtpeter.testing.virtual_time import in_virtual_time

IP = "203.0.113.1"


@in_virtual_time
async def test_a_whole_dialogue() -> None:
    host = ScriptHost(r"""
        S: 220 mx
        C: EHLO
        S> 250-one\r\n250 \xff\\two\n
        D:
        wait 2.5
        S: 250 kept
        eof
        C: thanks
    """)
    async with Network() as network:
        network.listen(IP, host.serve)
        stream = await network.dial(IP, 25)
        assert await stream.read() == b"220 mx\r\n"
        stream.write(b"ehlo me\r\nSubject: x\r\n\r\nbody\r\n.\r\n")
        assert await stream.read() == b"250-one\r\n250 \xff\\two\n"
        begin = asyncio.get_running_loop().time()
        assert await stream.read() == b"250 kept\r\n"
        assert asyncio.get_running_loop().time() - begin == pytest.approx(2.5)
        assert await stream.read() == b""
        stream.write(b"thanks\r\n")
        await asyncio.sleep(1)
        (conversation,) = host.conversations
        assert conversation.lines == ["ehlo me", "thanks"]
        assert conversation.messages == [b"Subject: x\r\n\r\nbody\r\n.\r\n"]


@in_virtual_time
async def test_each_connection_gets_the_whole_script() -> None:
    host = ScriptHost("S: 220 hello\nreset")
    async with Network() as network:
        network.listen(IP, host.serve)
        for _ in range(2):
            stream = await network.dial(IP, 25)
            assert await stream.read() == b"220 hello\r\n"
            with pytest.raises(ConnectionResetError):
                await stream.read()


@in_virtual_time
async def test_silence_lasts_until_the_client_goes() -> None:
    host = ScriptHost("silence")
    async with Network() as network:
        network.listen(IP, host.serve)
        stream = await network.dial(IP, 25)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(300):
                await stream.read()
        stream.close()


@in_virtual_time
async def test_a_client_that_says_something_else_fails_the_test() -> None:
    with pytest.raises(AssertionError, match="MAIL"):
        async with Network() as network:
            network.listen(IP, ScriptHost("C: EHLO").serve)
            stream = await network.dial(IP, 25)
            stream.write(b"MAIL FROM:<>\r\n")
            assert await stream.read() == b""


@pytest.mark.parametrize("line", ["X: what", "Sx", "closed", "C 250"])
def test_a_script_that_cannot_be_read_is_an_error(line: str) -> None:
    with pytest.raises(ValueError, match="not a step"):
        ScriptHost(line)
