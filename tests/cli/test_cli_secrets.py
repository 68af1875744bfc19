"""A password that stands in a command's own arguments is not for others to read."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

SECRET = "S3cret"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not show a process's arguments in a file")
@pytest.mark.parametrize(
    "user",
    [
        f"u:{SECRET}",
        pytest.param(f"me@corp:{SECRET}", marks=pytest.mark.slow),
        pytest.param(f"u:my\n{SECRET} here", marks=pytest.mark.slow),
    ],
)
def test_the_process_list_does_not_show_the_password_and_the_database_gets_it(tmp_path, user):
    pytest.importorskip("psycopg", reason="the extra postgres is not installed")
    with socket.create_server(("127.0.0.1", 0)) as server:  # a database that says nothing
        server.settimeout(60)
        url = f"postgresql://{user}@127.0.0.1:{server.getsockname()[1]}/db"
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        command = [sys.executable, "-m", "tuner", "list", "--storage", url]
        process = subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            connection, _ = server.accept()
            shown = Path(f"/proc/{process.pid}/cmdline").read_bytes().decode().split("\0")
            assert SECRET not in " ".join(shown)
            assert f"postgresql://{user.partition(':')[0]}:***@127.0.0.1:{server.getsockname()[1]}/db" in shown
            connection.close()
            deadline = time.monotonic() + 60
            while process.poll() is None and time.monotonic() < deadline:
                server.settimeout(0.2)
                try:
                    server.accept()[0].close()
                except TimeoutError:
                    continue
            out, text = process.communicate(timeout=10)
        finally:
            process.kill()
            process.wait()
    assert process.returncode in (2, 4), text
    assert SECRET not in out + text


def test_the_restart_that_hides_a_password_runs_no_file_of_the_working_folder(tmp_path):
    for name in ("yaml", "tuner", "json", "sqlalchemy"):
        (tmp_path / f"{name}.py").write_text("open('RAN', 'a').write(__name__)")
    tune = Path(sys.executable).with_name("tune")
    command = [tune, "list", "--storage", f"postgresql://u:{SECRET}@127.0.0.1:1/db"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert not (tmp_path / "RAN").exists()
    assert done.returncode in (2, 4)
    assert done.stderr.startswith("tune: error: ")
    assert SECRET not in done.stdout + done.stderr
