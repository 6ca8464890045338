"""One file for each arrow of the data flow: load the row on the left, run the stage, save the row on the right."""
