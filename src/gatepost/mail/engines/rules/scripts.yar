// Scripts and shortcuts that fetch or start programs. Honest mail talks about such words; only their combination in the form
// in which a machine would run them is a hint, and a hint only: kind "suspect".

rule Shortcut_Starts_Interpreter {
  meta:
    kind = "suspect"
    description = "a Windows shortcut that starts a command interpreter"
  strings:
    $a = "powershell" ascii wide nocase
    $b = "mshta" ascii wide nocase
    $c = "cmd.exe" ascii wide nocase
    $d = "wscript" ascii wide nocase
    $e = "rundll32" ascii wide nocase
    $f = "regsvr32" ascii wide nocase
    $g = "certutil" ascii wide nocase
  condition:
    uint32(0) == 0x0000004C and uint32(4) == 0x00021401 and uint32(8) == 0 and any of them
}

rule Script_Downloads_And_Runs {
  meta:
    kind = "suspect"
    description = "a script that fetches a file, writes it and starts it"
  strings:
    $fetch1 = "MSXML2.XMLHTTP" ascii wide nocase
    $fetch2 = "WinHttp.WinHttpRequest" ascii wide nocase
    $fetch3 = "Msxml2.ServerXMLHTTP" ascii wide nocase
    $write = "ADODB.Stream" ascii wide nocase
    $run1 = "WScript.Shell" ascii wide nocase
    $run2 = "Shell.Application" ascii wide nocase
  condition:
    any of ($fetch*) and $write and any of ($run*)
}

rule Script_Hidden_PowerShell {
  meta:
    kind = "suspect"
    description = "an encoded PowerShell command in a hidden window"
  strings:
    $shell = /powershell(\.exe)?[ "'][^\r\n]{0,200}-e(nc|ncodedcommand|c)? +["']?[A-Za-z0-9+\/=]{64}/ ascii wide nocase
    $hidden1 = /-w(indowstyle)? +hidden/ ascii wide nocase
    $hidden2 = /-nop(rofile)?\b/ ascii wide nocase
  condition:
    $shell and any of ($hidden*)
}

rule HTML_Application {
  meta:
    kind = "suspect"
    description = "an HTML application with a script that reaches the system"
  strings:
    $hta = "<hta:application" ascii wide nocase
    $script = "<script" ascii wide nocase
    $object1 = "WScript.Shell" ascii wide nocase
    $object2 = "Shell.Application" ascii wide nocase
    $object3 = "ActiveXObject" ascii wide nocase
  condition:
    $hta and $script and any of ($object*)
}

rule HTML_Builds_A_File {
  meta:
    kind = "suspect"
    description = "a page whose script builds a file and offers it as a download"
  strings:
    $script = "<script" ascii wide nocase
    $decode1 = "atob(" ascii wide
    $decode2 = "Uint8Array" ascii wide
    $blob = /new\s+(window\.)?Blob\s*\(/ ascii wide
    $save1 = "msSaveOrOpenBlob" ascii wide
    $save2 = "createObjectURL" ascii wide
    $click1 = ".download" ascii wide
    $click2 = ".click(" ascii wide
    $click3 = "msSaveBlob" ascii wide
  condition:
    $script and any of ($decode*) and $blob and any of ($save*) and any of ($click*)
}
