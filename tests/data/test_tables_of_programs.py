"""What Excel, pandas and people's own notes put into a table beside its rows."""

import pytest

from engine.core.errors import UserError
from tests.data.test_labels import labels, opened, pictures

FILES = ("a.png", "imgs/b.png", "#7.png", "imgs/#8.png")


@pytest.mark.parametrize(("text", "expected"), [
    ("image,u,v,w\na.png,False,True,False\nimgs/b.png,False,False,True\n", [1, 2]),  # get_dummies
    ("image,u,v,w\na.png,FALSE,TRUE,FALSE\nimgs/b.png,true,false,false\n", [1, 0]),
    ("a.png,False,True,False\nimgs/b.png,True,False,False\n", [1, 0]),
    ("sep=;\nfile;label\na.png;1\nimgs/b.png;2\n", [1, 2]),
    ("sep=;\r\nfile;label\r\na.png;1\r\n", [1]),
    ("\ufeffsep=,\nfile,label\na.png,1\n", [1]),
    ('"sep=\t"\nfile\tlabel\na.png\t1\n', [1]),
    ("SEP=|\na.png|1\nimgs/b.png|2\n", [1, 2]),
    ("sep=;,,\nfile;label\na.png;1\n", [1]),  # saved again by another program
    ("file,label\na.png,1\n# made by me\n", [1]),
    ("file,label\na.png,1\nimgs/b.png,2\n# total,2\n# by me, on Monday\n\n", [1, 2]),
    ("file,label\na.png,1\n# more\nimgs/b.png,2\n", [1, 2]),
    ("file label\na.png 1\n# total 1\n", [1]),
    ("a.png,1\n#,\n", [1]),
    ("image,u,v,w\na.png,0,1,0\n# three classes\n", [1]),
    ("file,label\n#7,1\n#8,2\n", [1, 2]),  # names of files
    ("file,label\na.png,1\n#7.png,0\n#8,2\n# 3 of them\n", [1, 0, 2]),
    ("label,file\n1,a.png\n#,#8\n", None),
])  # fmt: skip
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_what_programs_write_into_tables_is_understood(tmp_path, text, expected, encoding):
    pictures(tmp_path, *FILES)
    (tmp_path / "labels.csv").write_bytes(text.encode(encoding))
    if expected is None:
        with pytest.raises(UserError, match="label '#' is called like none"):
            labels(tmp_path, outputs=3)
        return
    images = opened(tmp_path, outputs=3)
    assert images.labels.tolist() == expected
    assert images.skipped == []


def test_lines_are_counted_with_those_that_are_no_rows(tmp_path):
    pictures(tmp_path, *FILES)
    (tmp_path / "labels.csv").write_text("sep=;\nfile;label\n# mine\na.png\n")
    with pytest.raises(UserError, match=r"labels\.csv line 4 is 'a\.png'"):
        labels(tmp_path)


def test_a_row_of_a_file_that_is_missing_is_no_comment(tmp_path):
    pictures(tmp_path, *FILES)
    (tmp_path / "labels.csv").write_text("file,label\na.png,1\n#9.png,2\n")
    assert opened(tmp_path, outputs=3).skipped == ["#9.png: no such file"]


def test_a_table_under_another_name_begins_with_its_separator_too(tmp_path):
    pictures(tmp_path, *FILES)
    (tmp_path / "mine.csv").write_text("sep=;\nfile;label\na.png;1\n")
    assert labels(tmp_path, outputs=3) == [1]
