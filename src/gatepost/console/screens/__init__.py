"""The screens: each file is one place of the console; a screen takes a visit and gives an answer."""
