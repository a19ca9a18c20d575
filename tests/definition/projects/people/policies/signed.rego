package towpath.signed

default allow := false
