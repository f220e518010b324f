"""The part of Dataverse's citation metadata that a deposit uses: fields, types and controlled vocabularies.

Source: citation.tsv and the native API guide of Dataverse 6.
"""

from __future__ import annotations

from dataclasses import dataclass, field

SUBJECTS = (
    "Agricultural Sciences",
    "Arts and Humanities",
    "Astronomy and Astrophysics",
    "Business and Management",
    "Chemistry",
    "Computer and Information Science",
    "Earth and Environmental Sciences",
    "Engineering",
    "Law",
    "Mathematical Sciences",
    "Medicine, Health and Life Sciences",
    "Physics",
    "Social Sciences",
    "Other",
)
AUTHOR_SCHEMES = ("ORCID", "ROR", "ISNI", "LCNA", "VIAF", "GND", "DAI", "ResearcherID", "ScopusID")
RELATIONS = ("IsCitedBy", "Cites", "IsSupplementTo", "IsSupplementedBy", "IsReferencedBy", "References")
ID_TYPES = (
    *("ark", "arXiv", "bibcode", "cstr", "doi", "ean13", "eissn", "handle", "isbn", "issn", "istc"),
    *("lissn", "lsid", "pmid", "purl", "upc", "url", "urn", "DASH-NRS"),
)

# SPDX id: the name and address under which Dataverse has the licence, and where its text is
LICENSES = {
    "CC0-1.0": ("CC0 1.0", "http://creativecommons.org/publicdomain/zero/1.0"),
    "CC-BY-4.0": ("CC BY 4.0", "http://creativecommons.org/licenses/by/4.0"),
    "CC-BY-SA-4.0": ("CC BY-SA 4.0", "http://creativecommons.org/licenses/by-sa/4.0"),
    "CC-BY-NC-4.0": ("CC BY-NC 4.0", "http://creativecommons.org/licenses/by-nc/4.0"),
    "Apache-2.0": ("Apache License 2.0", "https://www.apache.org/licenses/LICENSE-2.0"),
    "MIT": ("MIT License", "https://opensource.org/licenses/MIT"),
}


@dataclass(frozen=True)
class FieldType:
    """What Dataverse demands of one field.

    Attributes:
        kind: primitive, compound or controlledVocabulary.
        multiple: whether its value is a list.
        children: fields of a compound one, by name.
        words: what a controlled vocabulary allows.
        required: whether it must be given, at the top level or inside its compound field.
    """

    kind: str = "primitive"
    multiple: bool = False
    children: dict[str, FieldType] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    required: bool = False


def _words(words: tuple[str, ...]) -> FieldType:
    return FieldType("controlledVocabulary", words=words)


def _compound(required: bool = False, **children: FieldType) -> FieldType:
    return FieldType("compound", True, children, required=required)


_ONE = FieldType()
_NEEDED = FieldType(required=True)

CITATION: dict[str, FieldType] = {
    "title": _NEEDED,
    "otherId": _compound(otherIdAgency=_ONE, otherIdValue=_ONE),
    "author": _compound(
        True,
        authorName=_NEEDED,
        authorAffiliation=_ONE,
        authorIdentifierScheme=_words(AUTHOR_SCHEMES),
        authorIdentifier=_ONE,
    ),
    "datasetContact": _compound(
        True, datasetContactName=_ONE, datasetContactAffiliation=_ONE, datasetContactEmail=_NEEDED
    ),
    "dsDescription": _compound(True, dsDescriptionValue=_NEEDED, dsDescriptionDate=_ONE),
    "subject": FieldType("controlledVocabulary", True, words=SUBJECTS, required=True),
    "keyword": _compound(
        keywordValue=_ONE, keywordTermURI=_ONE, keywordVocabulary=_ONE, keywordVocabularyURI=_ONE
    ),
    "publication": _compound(
        publicationRelationType=_words(RELATIONS),
        publicationCitation=_ONE,
        publicationIDType=_words(ID_TYPES),
        publicationIDNumber=_ONE,
        publicationURL=_ONE,
    ),
    "notesText": _ONE,
    "productionDate": _ONE,
    "grantNumber": _compound(grantNumberAgency=_ONE, grantNumberValue=_ONE),
    "kindOfData": FieldType(multiple=True),
    "software": _compound(softwareName=_ONE, softwareVersion=_ONE),
    "relatedDatasets": FieldType(multiple=True),
}
