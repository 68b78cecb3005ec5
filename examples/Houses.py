"""The price of a house by its area: a line, fitted by least squares. train() is a job, predict() an endpoint."""
import csv

DATA = "examples/data/houses.csv"


class Houses:
    def __init__(self):
        self.slope = self.offset = None

    def train(self):
        with open(DATA, encoding="utf-8") as file:
            rows = [(float(row["area_m2"]), float(row["price_kEUR"])) for row in csv.DictReader(file)]
        area = sum(x for x, _ in rows) / len(rows)
        price = sum(y for _, y in rows) / len(rows)
        self.slope = sum((x - area) * (y - price) for x, y in rows) / sum((x - area) ** 2 for x, _ in rows)
        self.offset = price - self.slope * area
        return f"{len(rows)} houses: price = {self.slope:.3f} * area + {self.offset:.3f}"

    def predict(self, rows, names=None):
        if self.slope is None:
            print(self.train(), flush=True)
        return [[round(self.slope * float(row[0]) + self.offset, 1)] for row in rows]
