"""`parse_command`: what is the same command, and what is not."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pytest_awsbench.scoring.commands import Command, parse_command
from pytest_awsbench.scoring.words import words


ITEM = """aws dynamodb put-item --table-name t --item '{"id":{"S":"1"}}'"""
TAGS = "aws ec2 create-volume --availability-zone z --tag-specifications "
RUN = "aws ec2 run-instances --image-id i "
FIND = "aws ec2 describe-instances --filters "
CODE = "aws lambda create-function --function-name f --role r "

PORTS = "aws elb delete-load-balancer-listeners --load-balancer-ports "
CONVERSE = "aws bedrock-runtime converse --additional-model-request-fields "

HOOK = "aws codebuild create-webhook --filter-groups "

SAME = [
    (
        f"{RUN}--block-device-mappings Ebs=x",
        f'{RUN}--block-device-mappings \'[{{"Ebs":"x"}}]\'',
    ),
    (f'{HOOK}\'[[{{"type":"EVENT"}}]]\'', f'{HOOK}\'[ [{{"type": "EVENT"}}] ]\''),
    (f"{PORTS}80 443", f"{PORTS}'[80, 443]'"),
    (f"{CONVERSE}'{{\"a\":[1,null]}}'", f"{CONVERSE}'{{ \"a\": [1, null] }}'"),
    (
        f"{TAGS}ResourceType=a,Tags={{Key=b}}",
        f"{TAGS}Tags=[{{Key=b}}],ResourceType=a",
    ),
    (ITEM, 'aws dynamodb put-item --item=id={S=1} "--table-name" t'),
    (ITEM, ITEM.replace(":", " :\t")),
    (
        f"{TAGS}ResourceType=volume,Tags=[{{Key=Name,Value=data}}]",
        (
            f"""{TAGS}'[{{"Tags":[{{"Value":"data","Key":"Name"}}],"""
            """ "ResourceType":"volume"}]'"""
        ),
    ),
    (
        f"{TAGS}ResourceType=a ResourceType=b",
        f"""{TAGS}'{{"ResourceType":"a"}}' '{{"ResourceType":"b"}}'""",
    ),
    (f"{FIND}Name=a,Values=x", f"{FIND}'Name = a, Values = [ x ]'"),
    (f"{FIND}Name=a,Values=x,y", f"{FIND}Values=[x,y],Name=a"),
    (
        f"{FIND}\"Name=a,Values='x,y'\"",
        f"""{FIND}'[{{"Name":"a","Values":["x,y"]}}]'""",
    ),
    (f"{FIND}'Name=a,Values=x\\,y'", f"{FIND}\"Name=a,Values=['x,y']\""),
    (
        f"{RUN}--block-device-mappings DeviceName=a,Ebs={{VolumeSize=20}}",
        (
            f"""{RUN}--block-device-mappings"""
            """ '[{"DeviceName":"a","Ebs":{"VolumeSize":20}}]'"""
        ),
    ),
    (f"{RUN}--monitoring Enabled=True", f"{RUN}--monitoring '{{\"Enabled\":true}}'"),
    (f"{RUN}--security-group-ids a b", f'{RUN}--security-group-ids \'["a", "b"]\''),
    (
        f"{CODE}--environment Variables={{A=b,C=1}}",
        f"""{CODE}--environment '{{"Variables":{{"C":"1","A":"b"}}}}'""",
    ),
    (f"{CODE}--tags a=b,c=d", f"{CODE}--tags c=d,a=b"),
    (
        f"{CODE}--image-config EntryPoint=a,b,Command=c",
        f"""{CODE}--image-config '{{"Command":["c"],"EntryPoint":["a","b"]}}'""",
    ),
    ("aws --region r ec2 describe-vpcs", "aws ec2 describe-vpcs --region=r"),
    ("aws ec2 --debug describe-vpcs", "aws ec2 describe-vpcs --debug"),
    ("aws s3 ls --recursive s3://b", "aws s3 ls s3://b --recursive"),
    ("aws s3 cp a s3://b --acl private", "aws s3 cp --acl private a s3://b"),
    (
        "aws lambda invoke --function-name f out",
        "aws lambda invoke out --function-name f",
    ),
    ("aws help --task-hint", "aws --task-hint help"),
    ("aws ec2 describe-vpcs --vpc-ids -1", "aws ec2 describe-vpcs --vpc-ids=-1"),
]

DIFFERENT = [
    (f"{HOOK}type=EVENT", f'{HOOK}\'[[{{"type":"EVENT"}}]]\''),
    (f"{RUN}--monitoring x", f"{RUN}--monitoring Enabled=x"),
    (f"{PORTS}80 443", f'{PORTS}\'["80", "443"]\''),
    (f"{PORTS}80 x", f'{PORTS}\'["80", "x"]\''),
    (f"{CONVERSE}a=1", f'{CONVERSE}\'{{"a":"1"}}\''),
    (f"{CONVERSE}'[1]'", f"{CONVERSE}'[ 1 ]'"),
    (f"{RUN}--monitoring Enabled=yes", f'{RUN}--monitoring \'{{"Enabled":"yes"}}\''),
    (
        f"{RUN}--block-device-mappings Ebs={{VolumeSize=020}}",
        f'{RUN}--block-device-mappings \'[{{"Ebs":{{"VolumeSize":20}}}}]\'',
    ),
    (f"{FIND}Name=a,Name=b", f"{FIND}Name=b"),
    ("aws s3 ls", "aws s3api ls"),
    ("aws s3 cp a b", "aws s3 cp b a"),
    ("aws s3 help", "aws help"),
    ("aws help", "aws help --task-hint"),
    ("aws configure set region a", "aws configure set region b"),
    (
        "aws s3 sync a b --exclude x --include y",
        "aws s3 sync a b --include y --exclude x",
    ),
    (f"{RUN}--security-group-ids a b", f"{RUN}--security-group-ids b a"),
    (f"{RUN}--security-group-ids a,b", f"{RUN}--security-group-ids a b"),
    (f"{RUN}--dry-run", f"{RUN}--no-dry-run"),
    (f"{RUN}--dry-run", RUN),
    (f"{RUN}--count 1", f"{RUN}--count 1.0"),
    (f"{RUN}--user-data '{{\"a\":1}}'", f"{RUN}--user-data '{{\"a\": 1}}'"),
    (
        f'{RUN}--block-device-mappings \'[{{"Ebs":{{"VolumeSize":20}}}}]\'',
        f'{RUN}--block-device-mappings \'[{{"Ebs":{{"VolumeSize":"20"}}}}]\'',
    ),
    (
        f"{RUN}--monitoring '{{\"Enabled\":true}}'",
        f"{RUN}--monitoring '{{\"Enabled\":1}}'",
    ),
    (
        f"{RUN}--monitoring '{{\"Enabled\":1}}'",
        f"{RUN}--monitoring '{{\"Enabled\":1.0}}'",
    ),
    (f"{FIND}file://a=b", f"{FIND}file://a=c"),
    (f"{FIND}file://a=b", f'{FIND}\'[{{"file://a":"b"}}]\''),
    (f"{FIND}Name=a,Values=x,y", f"{FIND}Name=a,Values=y,x"),
    (f"{FIND}Name=a,Values=x,y", f"{FIND}\"Name=a,Values='x,y'\""),
    (f"{FIND}Name=a Values=x", f"{FIND}Name=a,Values=x"),
    (f'{FIND}\'[{{"Name":"a","Name":"b"}}]\'', f'{FIND}\'[{{"Name":"b"}}]\''),
    (
        "aws secretsmanager create-secret --secret-string '{\"a\":1}'",
        "aws secretsmanager create-secret --secret-string '{\"a\": 1}'",
    ),
    ("aws ec2 wait instance-running", "aws ec2 wait instance-stopped"),
    ("aws nonesuch op --ids a b c", "aws nonesuch op b c --ids a"),
    ("aws s3 ls -x", "aws s3 ls --x"),
    ("aws s3 ls | cat", "aws s3 ls"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_same(one: str, other: str) -> None:
    """Two ways to write what the CLI would do are one command."""
    assert parse_command(one) is not None
    assert parse_command(one) == parse_command(other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_different(one: str, other: str) -> None:
    """Commands that could do different things are never equal."""
    assert parse_command(one) is not None
    assert parse_command(one) != parse_command(other)


@pytest.mark.parametrize(
    "text",
    ["", "aws", "aws ", "ls", "AWS s3 ls", "aws s3 ls 'b", 'aws s3 ls "b', "aws \\"],
)
def test_no_command(text: str) -> None:
    """What is no ``aws`` command, or never closes a quote, is not parsed."""
    assert parse_command(text) is None


def test_parts() -> None:
    """A command has a service, an operation, positionals and options."""
    assert parse_command("aws s3 cp a 's3://b/c d' --acl private") == Command(
        service="s3",
        operation="cp",
        positionals=("a", "s3://b/c d"),
        options=(("acl", (("words", "private"),)),),
    )
    assert parse_command("aws help") == Command(service="help")


@pytest.mark.parametrize("text", ["provenance x --a b", "../s3 ls --a b", "s3 wait"])
def test_odd_services(text: str) -> None:
    """A service that nobody knows is read, its options as text."""
    command = parse_command(f"aws {text}")

    assert command is not None
    assert command.service == text.split(maxsplit=1)[0]


@pytest.mark.parametrize(
    "value",
    [
        "[" * 100_000,
        '[{"a":' * 5_000,
        "[" * 100 + "]" * 100,
        "Name=" + "{a=" * 5_000,
        "Name=" + "[" * 500 + "]" * 500,
        "[1e999,NaN]",
        "Name=a,Values=[x",
        "Name=a,Values={x=1",
        "Name=a,",
        "=a",
        "[{}] [{}]",
        "Name@=x",
    ],
)
def test_unreadable_values_are_text(value: str) -> None:
    """A value that is neither JSON nor shorthand equals itself alone."""
    command = parse_command(FIND + shlex.quote(value))

    assert command == parse_command(FIND + shlex.quote(value) + " ")
    assert command != parse_command(FIND + shlex.quote(value + " "))
    assert command is not None
    assert command.options == (("filters", (("words", value),)),)


# What follows writes one command in many ways.


@dataclass(frozen=True)
class Draft:
    """A command by its parts, before anyone chose how to write it."""

    service: str
    operation: str
    texts: Mapping[str, str]
    """Text options."""
    structure: Mapping[str, Any]
    """The value of ``--cli-structure``: ``option`` below."""
    option: str


TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12
)
SAFE = st.text("abcXYZ019._/", min_size=1, max_size=6)
NAMES = st.sampled_from([
    "table-name",
    "condition-expression",
    "return-values",
    "region",
])
ATTRIBUTES = st.one_of(
    st.fixed_dictionaries({"S": SAFE}),
    st.fixed_dictionaries({"SS": st.lists(SAFE, min_size=1, max_size=3)}),
    st.fixed_dictionaries({"BOOL": st.booleans()}),
    st.fixed_dictionaries({
        "M": st.dictionaries(SAFE, st.just({"N": "1"}), max_size=2)
    }),
)
DRAFTS = st.builds(
    Draft,
    service=st.just("dynamodb"),
    operation=st.sampled_from(["put-item", "delete-item"]),
    texts=st.dictionaries(NAMES, TEXT, min_size=1, max_size=4),
    structure=st.dictionaries(SAFE, ATTRIBUTES, min_size=1, max_size=3),
    option=st.just(""),
).map(lambda d: replace(d, option="item" if d.operation == "put-item" else "key"))


def quoted(word: str, how: str) -> str:
    """Quote a word for a shell in one of three ways."""
    if how == "double":
        return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if how == "escaped" and word:
        return "".join(f"\\{c}" for c in word)
    return shlex.quote(word)


def shuffled(value: Any, draw: st.DrawFn) -> Any:
    """Return the same JSON value with its keys in another order."""
    if isinstance(value, dict):
        keys = draw(st.permutations(sorted(value)))
        return {k: shuffled(value[k], draw) for k in keys}
    return value


def shorthand(value: Any) -> str:
    """Write a JSON value in the CLI's shorthand."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{k}={shorthand(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(shorthand, value)) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)


@st.composite
def spellings(draw: st.DrawFn, draft: Draft) -> str:
    """Write a draft in any of the ways that the CLI reads as the same."""
    value = shuffled(draft.structure, draw)
    forms = [json.dumps(value, indent=i) for i in (None, 1)]
    forms.append(json.dumps(value, separators=(",", ":")))
    forms.append(shorthand(value)[1:-1])
    options = [*draft.texts.items(), (draft.option, draw(st.sampled_from(forms)))]
    line = ["aws", draft.service, draft.operation]
    for name, word in draw(st.permutations(options)):
        how = draw(st.sampled_from(["single", "double", "escaped"]))
        glue = word.startswith("-") or draw(st.booleans())
        line.append(f"--{name}{'=' if glue else ' '}{quoted(word, how)}")
    return draw(st.sampled_from([" ", "  ", "\t"])).join(line)


@settings(derandomize=True, deadline=None, max_examples=150)
@given(st.data(), DRAFTS)
def test_spelling_does_not_matter(data: st.DataObject, draft: Draft) -> None:
    """Option order, ``=``, quoting, JSON space, key order and shorthand are form."""
    one, other = data.draw(spellings(draft)), data.draw(spellings(draft))

    assert parse_command(one) is not None
    assert parse_command(one) == parse_command(other)


@settings(derandomize=True, deadline=None, max_examples=150)
@given(st.data(), DRAFTS, DRAFTS)
def test_meaning_matters(data: st.DataObject, draft: Draft, other: Draft) -> None:
    """Any other value, option, service or operation is another command."""
    name = data.draw(st.sampled_from(sorted(draft.texts)))
    word = data.draw(TEXT.filter(lambda w: w != draft.texts[name]))
    fewer = {k: v for k, v in draft.texts.items() if k != name}
    key = data.draw(st.sampled_from(sorted(draft.structure)))
    changes = [
        replace(draft, texts={**draft.texts, name: word}),
        replace(draft, texts=fewer),
        replace(draft, texts={**draft.texts, "profile": "p"}),
        replace(draft, structure={**draft.structure, key: {"S": "changed"}}),
        replace(draft, structure={**draft.structure, "added": {"S": "x"}}),
        replace(draft, service="dynamodbstreams"),
        replace(draft, operation="update-item"),
    ]
    if other != draft:
        changes.append(other)

    command = parse_command(data.draw(spellings(draft)))

    for changed in changes:
        assert command != parse_command(data.draw(spellings(changed)))


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.text(alphabet="ab \t'\"\\=", max_size=12))
def test_words_are_the_shell_s(line: str) -> None:
    """Words are split and unquoted as Python's reading of a POSIX shell says."""
    try:
        expected = shlex.split(line)
    except ValueError:
        expected = None

    assert words(line) == expected


@settings(derandomize=True, deadline=None, max_examples=150)
@given(st.lists(st.text(alphabet="Na=,[]{}'\"\\: x1", max_size=10), max_size=3))
def test_any_value_is_read(values: list[str]) -> None:
    """No value breaks the parser, and reading twice gives the same command."""
    line = FIND + " ".join(map(shlex.quote, values))
    assume(not any(v.startswith("-") for v in values))

    assert parse_command(line) == parse_command.__wrapped__(line)
    assert parse_command(line) != parse_command(f"{line} --dry-run")
