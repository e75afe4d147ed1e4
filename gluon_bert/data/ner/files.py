"""Read, check and write files with entities: CoNLL columns and CLUENER's JSON lines.

Errors name the file and the line.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Optional

from ..._internal.files import atomic_path
from ..._internal.suggestions import unknown_name
from ..._internal.types import PathLike
from ..classification.lines import read_lines
from .conllu import check_row, is_comment
from .detection import check_single_tags, detect_scheme
from .json_lines import add_entities, read_json_sentences
from .schemes import PLAIN, get_scheme, repair_tags, tag_problems, tag_spans, type_of_tag

DOCUMENT_START = '-DOCSTART-'
_BLANKS = ' \t'
# Weibo's characters carry their position in their word: '科0' '技1'.
_SEGMENTED = re.compile(r'(.+?)(0|[1-9][0-9]{0,2})', re.DOTALL)
_CJK = '\u2e80'  # Chinese, Japanese and Korean characters begin here

logger = logging.getLogger(__name__)


class TaggedSentence(NamedTuple):
    """Words with their tags, None without tags, and the line of the first word."""

    words: list[str]
    tags: Optional[list[str]]
    line: int


class TaggedFile(NamedTuple):
    """The sentences of one file.

    ``layout`` is 'columns' or 'json'; ``scheme`` is that of the tags, None without tags;
    ``repairs`` has a message with the line number for each repair.
    """

    sentences: list[TaggedSentence]
    path: str
    layout: str
    scheme: Optional[str]
    repairs: list[str]

    @property
    def has_tags(self) -> bool:
        """True if the sentences are tagged."""
        return self.scheme is not None

    def line_of(self, sentence: int, word: int) -> int:
        """Return the line in the file of a word, both counted from 0."""
        return self.sentences[sentence].line + (word if self.layout == 'columns' else 0)

    def entity_types(self) -> list[str]:
        """List the types of entity, sorted; in the scheme PLAIN the tags."""
        tags = {tag for sentence in self.sentences for tag in sentence.tags or ()}
        types = {type_of_tag(tag, self.scheme or 'IOB2') for tag in tags}
        return sorted(name for name in types if name is not None)

    def kinds(self) -> list[str]:
        """Call :meth:`entity_types`, whose name in 0.1 this is."""
        return self.entity_types()

    def num_entities(self) -> int:
        """Count the entities of all sentences; in the scheme PLAIN the words."""
        scheme = PLAIN if self.scheme == PLAIN else None
        return sum(len(tag_spans(sentence.tags or (), scheme)) for sentence in self.sentences)


def read_tagged(
    path: PathLike,
    *,
    scheme: Optional[str] = None,
    repair: bool = False,
    word_column: int = 0,
    tag_column: Optional[int] = -1,
    segmented: Optional[bool] = None,
) -> TaggedFile:
    """Read a file with tagged sentences.

    - Columns, as in CoNLL: one word a line, columns separated by tabs or else by spaces, an empty
      line between sentences. Lines of ``-DOCSTART-`` end a sentence and are skipped, and so are the
      comments of CoNLL-U, which the log counts.
    - JSON lines, as in CLUENER: ``{"text": ..., "label": {type: {entity: [[first, last]]}}}``
      with the positions of the first and the last character. Each character is a word. A file
      may lack ``label``.

    A file is read as JSON lines if its suffix is '.json' or '.jsonl', or if it begins with '{"'.

    Parameters
    ----------
    path : str or Path
    scheme : str, optional
        The tag scheme, see :func:`.get_scheme`; detected by default, see :func:`.detect_scheme`,
        and logged if the tags have no types. JSON lines get tags of this scheme, by default IOB2.
    repair : bool
        Repair tag sequences that violate the scheme, as conlleval understands them; of JSON
        entities that share characters keep the longer one. Otherwise both are errors.
    word_column : int
        Column of the word, from 0; a negative one counts from the end.
    tag_column : int or None
        Column of the tag; None for a file without tags. A file of one column has none.
    segmented : bool, optional
        Remove the number after each character that states its place in a word (Weibo). By default
        if all have one, the numbers count on from 0, and most are Chinese, Japanese or Korean; the
        log says so.

    Returns
    -------
    TaggedFile

    Raises
    ------
    FileNotFoundError
    ValueError
        If the file has no sentences or is malformed, tags of entities and others are mixed, the
        tags violate the scheme, or JSON lines, which have entities, are read in the scheme PLAIN.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name, 'dev.conll')
    >>> _ = path.write_text('Ada NNP B-person\\nsmiled VBD O\\n')
    >>> read_tagged(path).sentences
    [TaggedSentence(words=['Ada', 'smiled'], tags=['B-person', 'O'], line=1)]
    >>> folder.cleanup()
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'{path}: no such file')
    scheme = None if scheme is None else get_scheme(scheme).name
    if path.suffix in ('.json', '.jsonl') or _begins_as_json(path):
        scheme = scheme or 'IOB2'
        if not get_scheme(scheme).has_spans:
            raise ValueError(
                f'{path}: JSON lines have entities, but in the scheme {scheme} each word has a '
                f'tag: expected columns'
            )
        rows, repairs = read_json_sentences(path, scheme, repair)
        has_tags = bool(rows) and rows[0][1] is not None
        tagged = TaggedFile(
            [TaggedSentence(*row) for row in rows],
            str(path),
            'json',
            scheme if has_tags else None,
            repairs,
        )
    else:
        tagged = _read_columns(path, word_column, tag_column, segmented)
        if tagged.sentences and tagged.has_tags:
            tagged = _checked(tagged, scheme, repair)
    if not tagged.sentences:
        raise ValueError(f'{path}: has no sentences')
    return tagged


def check_entity_types(tagged: TaggedFile, entity_types: Sequence[str], source: PathLike) -> None:
    """Check that a file has no type of entity that another file lacks.

    Parameters
    ----------
    tagged : TaggedFile
    entity_types : sequence of str
        The known types.
    source : str or Path
        The file that has them, for the message.

    Raises
    ------
    ValueError
        For the first unknown type; the message names file and line.
    """
    known = set(entity_types)
    for number, sentence in enumerate(tagged.sentences):
        for word, tag in enumerate(sentence.tags or ()):
            kind = type_of_tag(tag, tagged.scheme or 'IOB2')
            if kind is not None and kind not in known:
                what = 'tag' if tagged.scheme == PLAIN else 'type of entity'
                error = unknown_name(what, kind, entity_types)
                raise ValueError(
                    f'{tagged.path}:{tagged.line_of(number, word)}: {error}: it does '
                    f'not occur in {source}'
                )


def check_kinds(tagged: TaggedFile, kinds: Sequence[str], source: PathLike) -> None:
    """Call :func:`check_entity_types`, whose name in 0.1 this is."""
    check_entity_types(tagged, kinds, source)


def write_tagged(path: PathLike, tagged: TaggedFile, tags: Sequence[Sequence[str]]) -> None:
    """Write predicted tags in the layout of the input file.

    Columns: the lines of the input file, with the tag as a further column. JSON lines: its objects,
    with the predicted entities as ``label``. The file is written atomically.

    Parameters
    ----------
    path : str or Path
    tagged : TaggedFile
        The input file as read; it is read again.
    tags : sequence of sequence of str
        The tags of each sentence.

    Raises
    ------
    ValueError
        If tags and words differ in number.
    """
    lengths = [len(sentence.words) for sentence in tagged.sentences]
    if lengths != [len(row) for row in tags]:
        raise ValueError(f'{tagged.path}: expected one tag for every word')
    added = {}
    for sentence, row in zip(tagged.sentences, tags):
        if tagged.layout == 'json':
            added[sentence.line] = row
        else:
            added.update(enumerate(row, sentence.line))
    extend = add_entities if tagged.layout == 'json' else _column_line
    with (
        atomic_path(path) as temporary,
        open(temporary, 'w', encoding='utf-8', newline='\n') as file,
    ):
        for number, line in read_lines(tagged.path):
            file.write((extend(line, added[number]) if number in added else line) + '\n')


def _column_line(line, tag):
    return f'{line}\t{tag}' if '\t' in line else f'{line} {tag}'


def _begins_as_json(path):
    with open(path, 'rb') as file:
        return re.match(rb'(\xef\xbb\xbf)?\s*\{\s*"', file.read(256)) is not None


def _read_columns(path, word_column, tag_column, segmented):
    sentences, rows, columns, num_comments = [], [], None, 0
    for number, line in read_lines(path):
        line = line.rstrip(_BLANKS)
        fields = line.split('\t') if '\t' in line else re.split(' +', line)
        num_comments += (comment := is_comment(line))
        if not line or comment or fields[0] == DOCUMENT_START:
            if rows:
                sentences.append(_sentence(rows))
            rows = []
            continue
        check_row(path, number, fields)
        columns = columns or len(fields)
        if (columns == 1) != (len(fields) == 1):
            raise ValueError(
                f'{path}:{number}: has {len(fields)} columns, the lines before have '
                f'{columns}; expected a word and a tag'
            )
        tag = None
        if tag_column is not None and columns > 1:
            tag = _field(path, number, fields, tag_column)
        rows.append((_field(path, number, fields, word_column), tag, number))
    if rows:
        sentences.append(_sentence(rows))
    if num_comments:
        logger.info('%s: %d comments are left out', path, num_comments)
    if segmented is None and _have_places(sentences):
        logger.info('%s: the numbers after its characters are left out (segmented)', path)
        segmented = True
    if segmented:
        sentences = [_without_places(path, sentence) for sentence in sentences]
    has_tags = tag_column is not None and columns != 1
    return TaggedFile(sentences, str(path), 'columns', '' if has_tags else None, [])


def _field(path, number, fields, column):
    if not -len(fields) <= column < len(fields):
        raise ValueError(
            f'{path}:{number}: has {len(fields)} columns, none has the number {column}'
        )
    return fields[column]


def _sentence(rows):
    words, tags, numbers = zip(*rows)
    return TaggedSentence(list(words), None if tags[0] is None else list(tags), numbers[0])


def _have_places(sentences):
    """Tell if words are characters with their places in longer words, errors aside.

    So they are if the places count on from 0, not all are 0, and most characters are those of
    scripts without spaces: 'H0', '100' and '5000' are words of their own.
    """
    total = fitting = beyond = unspaced = 0
    for sentence in sentences:
        before = -1
        for word in sentence.words:
            match = _SEGMENTED.fullmatch(word)
            if not match:
                return False
            place = int(match[2])
            total += 1
            fitting += len(match[1]) == 1 and place in (0, before + 1)
            beyond += place > 0
            unspaced += match[1][0] >= _CJK
            before = place
    return fitting > 0.99 * total and unspaced >= total / 2 and beyond > 0


def _without_places(path, sentence):
    words = []
    for number, word in enumerate(sentence.words, sentence.line):
        match = _SEGMENTED.fullmatch(word)
        if not match:
            raise ValueError(f'{path}:{number}: {word[:80]!r} has no number after it')
        words.append(match[1])
    return sentence._replace(words=words)


def _checked(tagged, scheme, repair):
    """Check the tags against the scheme; raise ValueError or repair them."""
    numbered = [
        (sentence.line + index, tag)
        for sentence in tagged.sentences
        for index, tag in enumerate(sentence.tags)
    ]
    scheme = check_single_tags(tagged.path, numbered, scheme)
    if scheme is None:
        try:
            scheme = detect_scheme(sentence.tags for sentence in tagged.sentences)
        except ValueError as error:
            raise ValueError(f'{tagged.path}: {error}') from None
    sentences, repairs = [], []
    for sentence in tagged.sentences:
        problems = tag_problems(sentence.tags, scheme)
        for index, message in problems:
            message = f'{tagged.path}:{sentence.line + index}: {message}'
            if not repair:
                raise ValueError(f'{message}; with repair, such tags are read as by conlleval')
            repairs.append(message)
        if problems:
            sentence = sentence._replace(tags=repair_tags(sentence.tags, scheme))
        sentences.append(sentence)
    return tagged._replace(sentences=sentences, scheme=scheme, repairs=repairs)
