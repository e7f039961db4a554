import os
import socket
import time

from tongues.platform.processes import command_of, free_port, port_is_free, start_group, stop_group

FAMILY = {"polite": "sleep 60 & echo $!; wait", "stubborn": "trap '' TERM; sleep 60 & echo $!; wait"}


def start_family(tmp_path, manner):
    """A server with a child of its own; returns both process ids once both run."""
    log = tmp_path / "log.txt"
    leader = start_group(["sh", "-c", FAMILY[manner]], env=os.environ, log=log)
    deadline = time.monotonic() + 20
    while not log.read_text().strip() and time.monotonic() < deadline:
        time.sleep(0.02)
    return leader.pid, int(log.read_text())


def test_stop_group_polite_server_takes_its_children_with_it(tmp_path):
    leader, child = start_family(tmp_path, "polite")
    assert command_of(leader) and command_of(child)
    stop_group(leader)
    assert command_of(leader) == "" and command_of(child) == ""


def test_stop_group_server_that_ignores_the_request_is_killed_after_the_grace(tmp_path):
    leader, child = start_family(tmp_path, "stubborn")
    started = time.monotonic()
    stop_group(leader, grace_s=0.5)
    assert 0.5 <= time.monotonic() - started < 5
    assert command_of(leader) == "" and command_of(child) == ""


def test_stop_group_twice_does_nothing_the_second_time(tmp_path):
    leader, _ = start_family(tmp_path, "polite")
    stop_group(leader)
    stop_group(leader)


def test_command_of_names_the_program_of_a_live_process():
    assert "python" in command_of(os.getpid()) or "pytest" in command_of(os.getpid())


def test_port_is_free_tells_a_taken_port_from_a_free_one():
    port = free_port()
    assert port_is_free(port)
    with socket.socket() as server:
        server.bind(("127.0.0.1", port))
        server.listen()
        assert not port_is_free(port)
    assert port_is_free(port)
