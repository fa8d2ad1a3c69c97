"""What a command cannot do: reach the host, the network, or another session."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest


pytest.importorskip("moto")
pytest.importorskip("awscli")

from pytest_awsbench.envs.server.pool import Pool, Session


pytestmark = pytest.mark.live

SECRET = "only-on-the-host"


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    """One worker."""
    with closing(Pool(1)) as made:
        yield made


@pytest.fixture
def account(pool: Pool) -> Iterator[Session]:
    """A session with a bucket."""
    opened = pool.open(1)
    assert opened.run("aws s3 mb s3://bucket").ok
    try:
        yield opened
    finally:
        opened.close()


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A folder of the host with a secret."""
    (tmp_path / "secret.txt").write_text(SECRET)
    return tmp_path


READS = [
    "ssm put-parameter --name p --type String --value file://{secret}",
    "iam create-role --role-name r --assume-role-policy-document file://{secret}",
    "ssm put-parameter --cli-input-json file://{secret}",
    "s3api put-object --bucket bucket --key k --body {secret}",
    "s3 cp {secret} s3://bucket/k",
    "s3 mv {secret} s3://bucket/k",
    "s3 sync {host} s3://bucket",
    "s3api put-object --bucket bucket --key k --body {up}/secret.txt",
    "lambda create-function --function-name f --zip-file fileb://{secret}"
    " --runtime python3.12 --role arn:aws:iam::000000000000:role/r --handler a.b",
    "cloudformation create-stack --stack-name s --template-body file://{secret}",
    "ssm put-parameter --name p --type String --tags Key=a,Value@=file://{secret}"
    " --value x",
]


@pytest.mark.parametrize("command", READS)
def test_no_file_of_the_host_is_read(
    account: Session, host: Path, command: str
) -> None:
    """Its content reaches neither an output nor the account."""
    up = os.path.relpath(host, "/")
    asked = command.format(
        secret=host / "secret.txt", host=host, up=f"{'../' * 20}{up}"
    )

    ran = account.run(f"aws {asked}")

    shown = "".join(
        account.run(f"aws {read}").output
        for read in (
            "s3 cp s3://bucket/k -",
            "s3 cp s3://bucket/secret.txt -",
            "ssm get-parameter --name p",
            "iam get-role --role-name r",
        )
    )
    assert SECRET not in ran.output + ran.error + shown
    assert (host / "secret.txt").read_text() == SECRET


WRITES = [
    "s3api get-object --bucket bucket --key k {target}",
    "s3 cp s3://bucket/k {target}",
    "s3 sync s3://bucket {host} --delete",
    "lambda invoke --function-name f {target}",
    "iam create-virtual-mfa-device --virtual-mfa-device-name m --outfile {target}"
    " --bootstrap-method QRCodePNG",
    "eks update-kubeconfig --name c --kubeconfig {target}",
    "configure set region eu-west-1",
    "configure set credential_process 'touch {target}'",
    "cloudformation package --template-file {secret} --s3-bucket bucket"
    " --output-template-file {target}",
]


@pytest.mark.parametrize("command", WRITES)
def test_no_file_of_the_host_is_written(
    account: Session, host: Path, command: str
) -> None:
    """The host's folder is as it was."""
    account.run("aws s3api put-object --bucket bucket --key k")
    before = sorted(path.name for path in host.iterdir())

    account.run(
        "aws "
        + command.format(host=host, target=host / "new", secret=host / "secret.txt")
    )

    assert sorted(path.name for path in host.iterdir()) == before
    assert (host / "secret.txt").read_text() == SECRET


@pytest.mark.parametrize(
    "command",
    [
        "s3 ls --endpoint-url http://127.0.0.1:{port}",
        "s3api list-buckets --endpoint-url=http://127.0.0.1:{port}",
        "ssm put-parameter --name p --type String --value http://127.0.0.1:{port}/x",
        "sqs send-message --queue-url http://127.0.0.1:{port}/q --message-body x",
        "sns subscribe --topic-arn arn:aws:sns:us-east-1:000000000000:t --protocol http"
        " --notification-endpoint http://127.0.0.1:{port}/",
        "sns publish --topic-arn arn:aws:sns:us-east-1:000000000000:t --message x",
        "s3 ls --ca-bundle /etc/passwd --endpoint-url https://127.0.0.1:{port}",
        "cloudformation create-stack --stack-name s --template-url"
        " http://127.0.0.1:{port}/t.json",
    ],
)
def test_nothing_is_sent(
    account: Session, command: str, listening: tuple[int, list[bytes]]
) -> None:
    """A listener that a command names hears nothing."""
    port, heard = listening
    account.run("aws sns create-topic --name t")

    account.run("aws " + command.format(port=port))

    assert heard == []


@pytest.fixture
def listening() -> Iterator[tuple[int, list[bytes]]]:
    """A port on the loopback, and who has connected to it."""
    import socket
    import threading

    heard: list[bytes] = []
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(0.3)

        def accept() -> None:
            try:
                while True:
                    heard.append(repr(listener.accept()[1]).encode())
            except OSError:
                return

        thread = threading.Thread(target=accept)
        thread.start()
        yield listener.getsockname()[1], heard
        thread.join()


@pytest.mark.parametrize(
    "command",
    [
        "sqs list-queues",
        "rds describe-db-instances",
        "health describe-events",
        "s3control list-access-points --account-id 000000000000",
        "s3api list-objects --bucket arn:aws:s3:us-east-1:000000000000:accesspoint/a",
        "emr list-clusters --region eu-west-1",
    ],
)
def test_real_hosts_are_never_asked(account: Session, command: str) -> None:
    """Services whose hosts the CLI has by heart are answered here, or not at all."""
    ran = account.run(f"aws {command}")

    assert "Could not connect" not in ran.error
    assert "resolve" not in ran.error


@pytest.mark.parametrize(
    "command",
    [
        "configure list",
        "configure set cli_pager sh",
        "--region us-east-1 ssm start-session --target i-1",
        "ssm start-session --target i-1",
        "ecs execute-command --cluster c --command sh --interactive --task t",
        "emr ssh --cluster-id j-1 --key-pair-file k",
        "codeartifact login --tool pip --domain d --repository r",
        "deploy push --application-name a --s3-location s3://bucket/k",
        "deploy install --config-file f",
        "logs start-live-tail --log-group-identifiers x",
    ],
)
def test_refused_by_name(account: Session, command: str) -> None:
    """What only makes sense on a machine of one's own is refused, in words."""
    ran = account.run(f"aws {command}")

    assert ran.code == 252
    assert "is not available in this environment" in ran.error


@pytest.mark.parametrize(
    "command",
    [
        "aws s3 ls; touch {target}",
        "aws s3 ls && touch {target}",
        "aws s3 ls | tee {target}",
        "aws s3 ls > {target}",
        "aws s3 ls $(touch {target})",
        "aws s3 ls `touch {target}`",
    ],
)
def test_there_is_no_shell(account: Session, host: Path, command: str) -> None:
    """Shell syntax is text."""
    ran = account.run(command.format(target=host / "new"))

    assert not ran.ok
    assert not (host / "new").exists()


def test_profiles_and_aliases_are_not_read(account: Session) -> None:
    """No configuration of the host is seen."""
    profile = account.run("aws s3 ls --profile other")

    assert "could not be found" in profile.error
    assert not account.run("aws my-alias").ok


def test_lambda_code_never_runs(account: Session, host: Path) -> None:
    """An inline function is stored, and not executed."""
    code = f"import pathlib; pathlib.Path('{host}/new').touch()"
    template = (
        '{"Resources": {"R": {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "r",'
        ' "AssumeRolePolicyDocument": {}}}, "F": {"Type": "AWS::Lambda::Function",'
        ' "Properties": {"FunctionName": "f", "Handler": "index.handler", "Runtime":'
        ' "python3.12", "Role": "arn:aws:iam::000000000000:role/r", "Code": {"ZipFile":'
        f' "{code}"}}}}}}}}}}'
    )
    account.run(
        f"aws cloudformation create-stack --stack-name s --template-body '{template}'"
    )

    account.run("aws lambda invoke --function-name f out.json")

    assert not (host / "new").exists()


def test_long_waits_cost_nothing(account: Session) -> None:
    """Long polls and waiters end at once: the time moves, nobody waits."""
    account.run("aws sqs create-queue --queue-name q")

    account.run(
        "aws sqs create-queue --queue-name slow"
        " --attributes ReceiveMessageWaitTimeSeconds=20"
    )
    url = "--queue-url https://queue.amazonaws.com/000000000000"
    poll = account.run(f"aws sqs receive-message --wait-time-seconds 20 {url}/q")
    slow = account.run(f"aws sqs receive-message {url}/slow")
    waiter = account.run("aws dynamodb wait table-exists --table-name none")

    assert poll.ok
    assert slow.ok
    assert "Waiter TableExists failed: Max attempts exceeded" in waiter.error


def test_many_instances_are_refused(account: Session) -> None:
    """One command cannot fill the memory."""
    asked = '{"ImageId": "ami-12c6146b", "MinCount": 1, "MaxCount": 3000}'
    for command in (
        "ec2 run-instances --image-id ami-12c6146b --count 3000",
        f"ec2 run-instances --cli-input-json '{asked}'",
        "kinesis create-stream --stream-name s --shard-count 50000",
    ):
        assert "in this environment" in account.run(f"aws {command}").error


def test_no_secret_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of variables are not expanded, and a worker has none of ours."""
    monkeypatch.setenv("TOKEN", SECRET)
    with closing(Pool(1)) as with_token:
        fresh = with_token.open(1)
        ran = fresh.run(
            "aws ssm put-parameter --name p --type String --value file://$TOKEN"
        )

    assert SECRET not in ran.error
    assert "$TOKEN" in ran.error


def test_debug_shows_nothing(account: Session) -> None:
    """--debug is dropped: it would show paths and signatures."""
    for flag in ("--debug", "--deb"):
        ran = account.run(f"aws s3 ls {flag}")

        assert ran.ok
        assert ran.error == ""


def test_solutions_cannot_be_read(account: Session) -> None:
    """The tasks, their solutions and how they are graded are no file of a command."""
    from pytest_awsbench.envs.catalog import BUILTIN

    for path in (BUILTIN / "solutions.yaml", BUILTIN.parent / "server" / "grading.py"):
        account.run(
            f"aws ssm put-parameter --name p --type String --value file://{path}"
        )

    assert not account.run("aws ssm get-parameter --name p").ok
