"""Fits house prices by linear regression: gradient descent in plain Python, no packages needed.

Reads data/houses.csv beside this file, prints the loss of every epoch and writes the model as text.
It launches nothing by itself: `fairing run examples/train.py --input examples/data` does.
"""
import argparse
import os
import sys


def read_table(path):
    with open(path, encoding="utf-8") as file:
        header = file.readline().strip().split(",")
        rows = [[float(cell) for cell in line.split(",")] for line in file if line.strip()]
    return header, rows


def standardise(rows):
    """Columns with mean 0 and deviation 1, so that one learning rate fits all."""
    columns = list(zip(*rows))
    means = [sum(column) / len(column) for column in columns]
    deviations = [
        (sum((value - mean) ** 2 for value in column) / len(column)) ** 0.5 or 1.0
        for column, mean in zip(columns, means)
    ]
    scaled = [[(v - m) / d for v, m, d in zip(row, means, deviations)] for row in rows]
    return scaled, means, deviations


def train(features, target, epochs, rate):
    weights = [0.0] * len(features[0])
    bias = 0.0
    for epoch in range(1, epochs + 1):
        errors = [
            sum(w * x for w, x in zip(weights, row)) + bias - y for row, y in zip(features, target)
        ]
        loss = sum(e * e for e in errors) / len(errors)
        print(f"epoch {epoch:3d}  loss {loss:.6f}", flush=True)
        for i in range(len(weights)):
            weights[i] -= rate * 2 * sum(e * row[i] for e, row in zip(errors, features)) / len(errors)
        bias -= rate * 2 * sum(errors) / len(errors)
    return weights, bias


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default=os.path.join(here, "data", "houses.csv"))
    parser.add_argument("--epochs", type=int, default=int(os.environ.get("EPOCHS", "20")))
    parser.add_argument("--rate", type=float, default=0.1)
    parser.add_argument("--model", default="model.txt", help="where to write the fitted model")
    options = parser.parse_args()

    header, rows = read_table(options.data)
    scaled, means, deviations = standardise(rows)
    features = [row[:-1] for row in scaled]
    target = [row[-1] for row in scaled]
    print(f"{len(rows)} rows, features {', '.join(header[:-1])}, target {header[-1]}")
    weights, bias = train(features, target, options.epochs, options.rate)

    with open(options.model, "w", encoding="utf-8") as file:
        for name, weight, mean, deviation in zip(header, weights, means, deviations):
            file.write(f"{name} weight {weight:.6f} mean {mean:.6f} deviation {deviation:.6f}\n")
        file.write(f"bias {bias:.6f}\n")
    print(f"model written to {options.model}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
