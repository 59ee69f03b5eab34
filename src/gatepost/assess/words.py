"""The words round the questions, in German where they are asked in German.

Not its job: the questions themselves, which carry both languages.
Raises: nothing.
"""

from __future__ import annotations

GERMAN = {
    "About you": "Über Sie",
    "Assets": "Werte",
    "Awareness": "Aufmerksamkeit",
    "Company": "Firma",
    "Costs": "Kosten",
    "Decisions": "Entscheidungen",
    "Diversity": "Verschiedenheit",
    "Extra eyes": "Zusätzliche Augen",
    "Interviews": "Gespräche",
    "Keys and passwords": "Schlüssel und Passwörter",
    "Law": "Recht",
    "Machines": "Maschinen",
    "Mail": "Mail",
    "Network": "Netz",
    "Other ways in": "Andere Wege herein",
    "People": "Menschen",
    "Physical security": "Räume und Schlüssel",
    "Plans": "Pläne",
    "Privileges": "Rechte",
    "Services": "Dienste",
    "Threats": "Bedrohungen",
    "What you need": "Was Sie brauchen",
    "Working with the computer": "Arbeiten mit dem Computer",
    "e.g.": "z. B.",
    "yes / no": "ja / nein",
    "one row a line, an empty line ends": "eine Zeile je Eintrag, eine leere Zeile beendet",
    "Your name (may stay empty)": "Ihr Name (darf leer bleiben)",
}


def in_words(text: str, language: str) -> str:
    """The text in "en" or "de"; what has no German stays as it is."""
    return GERMAN.get(text, text) if language == "de" else text
