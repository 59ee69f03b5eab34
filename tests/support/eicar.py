"""The EICAR test file and a made-up marker, in pieces so that no scanner takes this repository for infected."""

EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-" + b"ANTIVIRUS-TEST-FILE!$H+H*"
MARKER = b"GATEPOST-HARMLESS-" + b"MARKER-51c07be2"
