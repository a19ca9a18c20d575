"""`file.*`: what steps do with the files of the machine that they run on."""
