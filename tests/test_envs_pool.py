"""Sessions: isolated, the same for the same seed, and alive when workers are not."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator

import psutil
import pytest


pytest.importorskip("moto")
pytest.importorskip("awscli")

from pytest_awsbench.envs.server.pool import Pool


pytestmark = pytest.mark.live

SCRIPT = (
    "aws s3 mb s3://same",
    "aws sqs create-queue --queue-name same",
    "aws iam create-role --role-name same --assume-role-policy-document '{}'",
    "aws ec2 create-vpc --cidr-block 10.0.0.0/16",
    "aws secretsmanager create-secret --name same --secret-string s",
    "aws dynamodb create-table --table-name same --attribute-definitions"
    " AttributeName=a,AttributeType=S --key-schema AttributeName=a,KeyType=HASH"
    " --billing-mode PAY_PER_REQUEST",
    "aws iam attach-role-policy --role-name same --policy-arn"
    " arn:aws:iam::aws:policy/ReadOnlyAccess",
    "aws s3api list-buckets",
    "aws iam get-role --role-name same",
    "aws kms generate-random --number-of-bytes 8",
    "aws ec2 create-key-pair --key-name same",
    "aws s3api create-multipart-upload --bucket same --key m",
)


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    """One worker."""
    with contextlib.closing(Pool(1)) as made:
        yield made


def test_many_sessions_leak_nothing(pool: Pool) -> None:
    """64 sessions that use the same names, command by command in turns, all succeed."""
    sessions = [pool.open(seed) for seed in range(64)]
    mine = [[f"aws s3 cp - s3://same/{n}" for n in range(k % 3)] for k in range(64)]

    for command in SCRIPT[:4]:
        assert [s.run(command).error for s in sessions] == [""] * 64
    for session, commands in zip(sessions, mine, strict=True):
        assert all(session.run(command).ok for command in commands)
    counts = [len(s.run("aws s3 ls s3://same").output.splitlines()) for s in sessions]

    assert counts == [k % 3 for k in range(64)]
    for session in sessions:
        session.close()


def test_everything_is_in_one_account(pool: Pool) -> None:
    """Account and region are those that tasks are written for."""
    session = pool.open(1)

    assert (
        '"Account": "000000000000"' in session.run("aws sts get-caller-identity").output
    )
    assert (
        ":us-east-1:000000000000:t"
        in session.run("aws sns create-topic --name t").output
    )
    session.close()


def test_reset_empties_one_session(pool: Pool) -> None:
    """Another session keeps what it has."""
    first, second = pool.open(1), pool.open(1)
    for session in (first, second):
        session.run("aws s3 mb s3://same")

    first.reset(1)

    assert first.run("aws s3 ls").output == ""
    assert "same" in second.run("aws s3 ls").output
    first.close()
    second.close()


def test_same_seed_same_bytes(pool: Pool, own: Pool) -> None:
    """The same commands give byte-identical output, in another process too."""
    runs = []
    for place in (pool, own):
        session = place.open(7)
        runs.append([session.run(command) for command in SCRIPT])
        session.close()

    assert runs[0] == runs[1]
    assert all(ran.ok for ran in runs[0])


def test_another_seed_other_ids(pool: Pool) -> None:
    """What is drawn depends on the seed."""
    outputs = set()
    for seed in (1, 2):
        session = pool.open(seed)
        outputs.add(session.run(SCRIPT[3]).output)
        session.close()

    assert len(outputs) == 2


def test_nothing_is_left_for_the_next_command(pool: Pool) -> None:
    """A region or a skeleton that one command asks for is not that of the next."""
    session = pool.open(1)
    session.run("aws sqs create-queue --queue-name q --region eu-west-1")
    session.run("aws sqs create-queue --generate-cli-skeleton")

    listed = session.run("aws sqs list-queues")

    assert listed.output == ""
    assert "eu-west-1" in session.run("aws sqs list-queues --region eu-west-1").output
    session.close()


@pytest.mark.parametrize("noticed", [True, False], ids=["dead", "dying"])
def test_lost_worker_is_replaced(
    own: Pool, kept: set[psutil.Process], *, noticed: bool
) -> None:
    """A session goes on where it was when its worker is killed.

    What is sent to a worker that is dead already cannot be written; one that is dying
    takes it, and never answers.
    """
    session = own.open(3)
    before = [session.run(command) for command in SCRIPT[:5]]
    [worker] = workers() - kept
    os.kill(worker.pid, signal.SIGKILL)
    if noticed:
        wait_until_dead(worker)

    after = session.run("aws iam get-role --role-name same")

    assert before[2].output == after.output
    own.close()
    assert workers() == kept


def wait_until_dead(process: psutil.Process) -> None:
    """Wait until a child has ended, without reaping it as its parent does."""
    over = time.monotonic() + 10
    while process.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < over
        time.sleep(0.01)


def workers() -> set[psutil.Process]:
    """Return the worker processes of this process that are alive."""
    found = set()
    for process in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if any("server.worker" in word for word in process.cmdline()):
                found.add(process)
    return found


@pytest.fixture(scope="module")
def kept(pool: Pool) -> set[psutil.Process]:
    """The worker of the module."""
    pool.start()
    return workers()


@pytest.fixture
def own() -> Iterator[Pool]:
    """A worker more, of one test, which may kill it."""
    with contextlib.closing(Pool(1)) as made:
        yield made


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        (
            "aws s3api create-bucket",
            2,
            "the following arguments are required: --bucket",
        ),
        ("aws s3api make-bucket", 2, "Invalid choice"),
        ("aws nothing at-all", 2, "Invalid choice"),
        ("aws sqs create-queue --queue-name q --colour red", 255, "Unknown options"),
        (
            "aws dynamodb describe-table --table-name none",
            255,
            "ResourceNotFoundException",
        ),
        ("aws s3 ls s3://none", 255, "NoSuchBucket"),
        ("aws s3 ls 'unbalanced", 252, "No closing quotation"),
        ("aws iam get-role --role-name none", 255, "NoSuchEntity"),
    ],
)
def test_errors_are_those_of_the_cli(
    pool: Pool, command: str, code: int, words: str
) -> None:
    """What is wrong is said as the real CLI and the service say it."""
    session = pool.open(1)

    ran = session.run(command)

    assert (ran.code, ran.output) == (code, "")
    assert words in ran.error
    assert "version 2" not in ran.error
    assert len(ran.error) < 500
    session.close()


def test_help_is_plain_text(pool: Pool) -> None:
    """Help needs no pager and no typesetting program."""
    session = pool.open(1)

    ran = session.run("aws s3api create-bucket help")

    assert ran.ok
    assert "create-bucket" in ran.output
    assert "\x08" not in ran.output
    session.close()


def test_recycled_worker_keeps_its_sessions(
    own: Pool, kept: set[psutil.Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that has served its time is replaced; open sessions move on."""
    from pytest_awsbench.envs.server import pool as module

    monkeypatch.setattr(module, "RECYCLE", 3)
    stays, comes = own.open(1), own.open(2)
    stays.run("aws s3 mb s3://stays")
    [first] = workers() - kept
    for seed in range(4):
        comes.reset(seed)
    [second] = workers() - kept

    assert first != second
    assert "stays" in stays.run("aws s3 ls").output
    assert comes.run("aws s3 ls").output == ""


def test_files_of_the_scratch_folder(pool: Pool) -> None:
    """What a command has written, another one can send."""
    session = pool.open(1)
    session.run("aws s3 mb s3://bucket")
    session.run("aws s3api put-object --bucket bucket --key k")
    session.run("aws s3api get-object --bucket bucket --key k mine.txt")

    copied = session.run("aws s3 cp mine.txt s3://bucket/copy")
    synced = session.run("aws s3 sync . s3://bucket/all")

    assert copied.output == "upload: ./mine.txt to s3://bucket/copy\n"
    assert "s3://bucket/all/mine.txt" in synced.output
    assert session.run("aws s3 ls s3://bucket/copy").ok
    session.close()


def test_managed_policies_are_not_shared(pool: Pool) -> None:
    """What one session does to a policy of AWS, another one does not see."""
    first, second = pool.open(1), pool.open(1)
    arn = "--policy-arn arn:aws:iam::aws:policy/ReadOnlyAccess"

    first.run(f"aws iam tag-policy {arn} --tags Key=a,Value=b")

    assert '"Value": "b"' in first.run(f"aws iam list-policy-tags {arn}").output
    assert '"Value": "b"' not in second.run(f"aws iam list-policy-tags {arn}").output
    first.close()
    second.close()


def test_defects_of_the_emulator_read_like_the_service(pool: Pool) -> None:
    """Whatever the protocol, the model sees an error of the service."""
    session = pool.open(1)
    topic = "arn:aws:sns:us-east-1:000000000000:t"
    session.run("aws sns create-topic --name t")
    session.run(
        f"aws sns subscribe --topic-arn {topic} --protocol http"
        " --notification-endpoint http://127.0.0.1:9/"
    )

    ran = session.run(f"aws sns publish --topic-arn {topic} --message x")

    assert "Unable to parse" not in ran.error
    session.close()
