"""One file per paper, in a folder per field; they see no mesh, file or flag."""
