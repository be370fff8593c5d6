"""How the code of users is run: in its limits, on the CPU, with its errors caught and located."""
