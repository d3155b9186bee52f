"""`python -m pipeline` is the program `mnist-tfx`."""

from pipeline.cli import main

if __name__ == "__main__":
    main()
