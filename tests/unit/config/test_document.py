"""Files that are no configuration at all: what is said, and in which line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onceproxy.config.document import MAX_BYTES, MAX_VALUES, DocumentError, read_document
from onceproxy.config.load import ConfigError, load
from unit.config.loading import problems_of


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "f.yaml:1: is empty; write at least `version: 1`"),
        (b"# nothing\n\n", "f.yaml:1: is empty; write at least `version: 1`"),
        (b"- a\n", "f.yaml:1: must be a mapping: lines of the form `key: value`"),
        (b"\n\nversion 1\n", "f.yaml:3: must be a mapping: lines of the form `key: value`"),
        (b"version: 1\nlisten: \xff\n", "f.yaml:2: is not UTF-8; save it in that encoding"),
        (b"version: 1\nlisten: \x07\n", "f.yaml:2: is not valid YAML: it holds a control character"),
        (
            "version: 1\n# as shipped\u2028insecure_listen: true\n".encode(),
            "f.yaml:2: holds U+2028, a line end that editors do not show; remove it",
        ),
        (
            "version: 1\nlisten: '\x85'\n".encode(),
            "f.yaml:2: holds U+0085, a line end that editors do not show; remove it",
        ),
        (b"version: 1\nlisten: \x00\n", "f.yaml:2: is not valid YAML: it holds a control character"),
        (b"version: 1\n? [a]\n: 1\n", "f.yaml:2: a key must be plain text"),
        (b"version: 1\nlisten: !x 1\n", "f.yaml:2: tags (!…) have no meaning here; write the value alone"),
        (
            b"version: 1\nlisten: !!python/object/apply:os.system [id]\n",
            "f.yaml:2: tags (!…) have no meaning here; write the value alone",
        ),
        (b"version: !!int x\n", "f.yaml:1: tags (!…) have no meaning here; write the value alone"),
        (b"version: !!bool x\n", "f.yaml:1: tags (!…) have no meaning here; write the value alone"),
        (b"mounts: !!set {a}\n", "f.yaml:1: tags (!…) have no meaning here; write the value alone"),
    ],
)
def test_no_configuration(data: bytes, problem: str) -> None:
    assert problems_of(data) == [problem]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("tls:\n  passthrough: [*.x.com]\n", 3, 'quote text that starts with * or &, as in "*.x.com"'),
        ("tls:\n\tintercept: true\n", 3, "indent with spaces, not tabs"),
        ("listen 1\ndatabase: embedded\n", 3, "write key: value, with a space after the colon"),
        ("listen: a: b\n", 2, "check the indentation, and quote text that holds a colon and a space"),
        ("tls: {\n", 3, "while parsing a flow node, expected the node content, but found '<stream end>'"),
        ("tls:\n  a: 1\n b: 1\n", 4, "the indentation does not fit the lines above"),
        ("---\nversion: 1\n", 2, "one file holds one configuration; remove the --- line"),
        ("listen: @x\n", 2, "quote text that starts with %, @ or `"),
        ("listen: *nobody\n", 2, "found undefined alias (a name)"),
    ],
)
def test_no_yaml(text: str, line: int, said: str) -> None:
    [problem] = problems_of(text)

    assert problem.startswith(f"f.yaml:{line}: is not valid YAML: ")
    assert said in problem
    assert "\n" not in problem


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("missing.yaml", "missing.yaml: there is no such file"),
        ("directory", "directory: is a directory; name the file in it"),
        ("file/f.yaml", "file/f.yaml: can't be read: Not a directory"),
    ],
)
def test_no_file(path: str, problem: str) -> None:
    Path("directory").mkdir()
    Path("file").touch()

    for where, expected in ((Path(path), problem), (None, f"ONCEPROXY_CONFIG: {problem}")):
        with pytest.raises(ConfigError) as caught:
            load(where, environ={} if where else {"ONCEPROXY_CONFIG": path})
        assert caught.value.problems == [expected]


def test_a_fault_in_the_file_of_the_environment_stays_where_an_editor_jumps_to() -> None:
    Path("f.yaml").write_text("version: [\n")

    with pytest.raises(ConfigError, match=r"^f\.yaml:2: is not valid YAML"):
        load(environ={"ONCEPROXY_CONFIG": "f.yaml"})


def test_a_file_that_is_too_large() -> None:
    assert problems_of(b"#" * (MAX_BYTES + 1)) == ["f.yaml: is larger than 1 MiB; is it the right file?"]


@pytest.mark.parametrize("value", ["[" * 100_000, "{a: " * 10_000, "- " * 10_000])
def test_deep_nesting_ends_in_an_error(value: str) -> None:
    assert problems_of(f"mounts:\n  {value}\n") == [
        "f.yaml:3: is not valid YAML: it nests deeper than 20 levels"
    ]


@pytest.mark.parametrize("value", ["&x [*x]", "&x {a: *x}", "&x [*x, *x, *x, *x, *x, *x]"])
def test_an_alias_that_leads_into_itself_ends_in_an_error(value: str) -> None:
    assert problems_of(f"mounts:\n  {value}\n") == [
        "f.yaml:3: an alias (*) leads into itself, or stands for too much; write it out"
    ]


def test_a_billion_laughs_end_in_an_error() -> None:
    lines = ["a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]

    [problem] = problems_of("\n".join(lines) + "\n")

    assert problem.endswith(": an alias (*) leads into itself, or stands for too much; write it out")
    assert MAX_VALUES < 10**5


def test_an_alias_is_fine_and_keeps_the_line_of_its_anchor() -> None:
    problems = problems_of("limits:\n  head_timeout: &t 1\n  idle_timeout: *t\n")

    assert [problem.split(": is")[0] for problem in problems] == [
        "f.yaml:3: limits.head_timeout",
        "f.yaml:4: limits.idle_timeout",
    ]


def test_words_are_read_as_in_yaml_1_2() -> None:
    text = "t: [true, True, false, FALSE]\nn: [null, ~, '', ]\ni: [1, -2, +3, 010]\n"
    text += "s: [yes, No, on, OFF, 1:30, 2026-01-01, 1.5, 0x10, 1_000, .inf, '1', !!str 1, =, <<]\nz:\n"
    Path("f.yaml").write_text(text)

    assert read_document(Path("f.yaml")).values == {
        "t": [True, True, False, False],
        "n": [None, None, ""],
        "i": [1, -2, 3, 10],
        "s": [
            *("yes", "No", "on", "OFF", "1:30", "2026-01-01", "1.5", "0x10"),
            *("1_000", ".inf", "1", "1", "=", "<<"),
        ],
        "z": None,
    }


def test_a_byte_order_mark_and_carriage_returns_are_fine() -> None:
    Path("f.yaml").write_bytes(b"\xef\xbb\xbfversion: 1\r\nlisten: x\r\n")

    document = read_document(Path("f.yaml"))

    assert document.values == {"version": 1, "listen": "x"}
    assert document.line(("listen",)) == 2


@given(
    st.one_of(
        st.binary(max_size=60),
        st.text("ab:-?*&!|>'\"%@`#,[]{}<=~ \n\t$1.", max_size=60).map(lambda text: text.encode()),
    )
)
def test_any_bytes_are_a_document_or_an_error_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(data)

    try:
        problem = "" if isinstance(read_document(path).values, dict) else "no mapping"
    except DocumentError as error:
        problem = str(error).removeprefix(str(path))
    assert problem[:1] in ("", ":")
    assert "\n" not in problem
