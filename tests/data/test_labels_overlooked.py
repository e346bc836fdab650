"""What a table or a folder says and is not followed: a note says so, and what to do."""

import pytest

from engine.data.images import open_folder
from tests.data.test_labels import SPACE, labels, opened, pictures

TABLE = "file,label\na.png,1\nb.png,2\n"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            ("a.csv", "b.csv"),
            "a.csv and b.csv both look like tables of labels; call one labels.csv.",
        ),
        (
            ("c.csv", "a.csv", "B.CSV"),
            "a.csv, B.CSV and c.csv all look like tables of labels; call ",
        ),
        (("labels.json",), "labels.json is not read; write the labels as file,label lines into a "),
        (("Annotations.JSON",), "Annotations.JSON is not read; write"),
        (("labels.xlsx",), "labels.xlsx is not read"),
        (
            ("labels.csv/",),
            "labels.csv is a folder, and no table of labels; put a file labels.csv ",
        ),
        (("Labels.tsv/",), "Labels.tsv is a folder, and no table of labels"),
    ],
)
@pytest.mark.parametrize("inside", ["", "test/"])
def test_labels_that_are_not_read_are_told_of(tmp_path, files, said, inside):
    inside = "" if files[0].endswith("/") else inside  # else that folder is a class beside `test`
    pictures(tmp_path, f"{inside}a.png", f"{inside}b.png")
    for name in files:
        if name.endswith("/"):
            (tmp_path / name).mkdir()
        else:
            (tmp_path / name).write_text(TABLE)
    images = opened(tmp_path, outputs=10)
    assert (len(images), images.labels) == (2, None)
    (note,) = images.notes
    assert note.startswith(said)
    assert note.endswith(".")
    assert open_folder(tmp_path, **SPACE, classes=None).notes == []
    for name in files:
        (tmp_path / name).rename(tmp_path / f".{name.strip('/')}.old")
    (tmp_path / "labels.csv").write_text(TABLE)  # the way out
    assert labels(tmp_path, outputs=10) == [1, 2]
    assert opened(tmp_path, outputs=10).notes == []


@pytest.mark.parametrize("name", ["a.csv", "labels", "classes.json", "notes.txt", "other.json"])
def test_other_files_beside_images_are_nobody_s_labels(tmp_path, name):
    pictures(tmp_path, "a.png", "b.png")
    if "." in name:
        (tmp_path / name).write_text("a,b\n1,2\n")
    else:
        (tmp_path / name).mkdir()
    assert opened(tmp_path, outputs=10).notes == []


def test_where_class_folders_give_the_labels_nothing_is_missed(tmp_path):
    pictures(tmp_path, "1/a.png", "2/b.png")
    for name in ("a.csv", "b.csv", "labels.json"):
        (tmp_path / name).write_text(TABLE)
    assert labels(tmp_path, outputs=10) == [1, 2]
    assert opened(tmp_path, outputs=10).notes == []


def test_the_reason_comes_before_what_was_made_of_the_folders(tmp_path):
    pictures(tmp_path, "images/a.png", "images/b.png")
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text(TABLE)
    first, second = opened(tmp_path, outputs=10).notes
    assert first.startswith("a.csv and b.csv both")
    assert "taken without labels" in second


HALVES = ("a.png", "b.png")
HEAD = "file,label,{}\n"


@pytest.mark.parametrize(("column", "values", "said"), [
    ("split", ("train", "test"), "column 'split' (test, train)"),
    ("Set", ("Training", "VAL"), "column 'Set' (Training, VAL)"),
    ("subset", ("train", "train"), "column 'subset' (train)"),
    ("partition", ("train", "dev"), "column 'partition' (dev, train)"),
    ("split", ("test", "test"), None),  # of which nothing is to be kept apart
    ("set", ("1", "2"), None),
    ("colour", ("train", "test"), None),
])  # fmt: skip
def test_a_column_of_halves_is_not_followed_and_that_is_told(tmp_path, column, values, said):
    pictures(tmp_path, *HALVES)
    rows = "".join(f"{file},1,{v}\n" for file, v in zip(HALVES[:2], values, strict=True))
    (tmp_path / "labels.csv").write_text(HEAD.format(column) + rows)
    images = opened(tmp_path, outputs=3)
    assert images.labels.tolist() == [1, 1]
    assert len(images.notes) == (said is not None)
    if said:
        assert images.notes[0].startswith(f"labels.csv has a {said}")
        assert "its rows are all used" in images.notes[0]


def test_a_table_of_classes_as_columns_may_have_one_of_halves(tmp_path):
    pictures(tmp_path, *HALVES)
    text = "image,u,v,w,split\na.png,0,1,0,train\nb.png,0,0,1,test\n"
    (tmp_path / "labels.csv").write_text(text)
    images = opened(tmp_path, outputs=3)
    assert images.labels.tolist() == [1, 2]
    assert "column 'split'" in images.notes[-1]
