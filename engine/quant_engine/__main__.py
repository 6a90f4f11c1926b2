"""`python -m quant_engine`: the same door as the `quant-engine` script."""

from quant_engine.cli import main

if __name__ == "__main__":
    main()
