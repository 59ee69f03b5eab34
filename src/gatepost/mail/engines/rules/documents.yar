// Documents that start something when they are opened.

rule RTF_Loads_Object_By_Itself {
  meta:
    kind = "suspect"
    description = "a rich text document with an object that is loaded without a click"
  strings:
    $data = "\\objdata" nocase
    $update = "\\objupdate" nocase
  condition:
    uint32(0) == 0x74725C7B and $data and $update
}

rule RTF_Equation_Object {
  meta:
    kind = "suspect"
    description = "a rich text document with an object for the old equation editor (CVE-2017-11882)"
  strings:
    $class = "\\objclass Equation.3" nocase
    $data = "\\objdata" nocase
    $hex = "4571756174696f6e2e33" nocase
  condition:
    uint32(0) == 0x74725C7B and $data and ($class or $hex)
}

rule PDF_Launches_Program {
  meta:
    kind = "suspect"
    description = "a PDF that starts a program when it is opened"
  strings:
    $open = "/OpenAction"
    $launch = /\/S\s*\/Launch\b/
  condition:
    uint32(0) == 0x46445025 and $open and $launch
}
