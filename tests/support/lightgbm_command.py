#!/usr/bin/env python3
"""lightgbm_command.py config=FILE - LightGBM's command line over its own library, for the package in PyPI has the
library and not the program. Trains or predicts from CSV files, alone or as one of several machines."""

import sys

import lightgbm
import numpy


def main():
    with open(sys.argv[1].partition("=")[2]) as file:
        config = dict(line.rstrip("\n").split("=", 1) for line in file)
    data, valid, model = config.pop("data"), config.pop("valid", None), config.pop("output_model", "model.txt")
    if config.pop("task", "train") == "predict":
        booster = lightgbm.Booster(model_file=config["input_model"])
        answers = booster.predict(data, data_has_header=config.get("header") == "true")
        numpy.savetxt(config["output_result"], answers, fmt="%.6f")
        return
    if "machine_list_filename" in config:
        with open(config.pop("machine_list_filename")) as file:
            config["machines"] = ",".join(line.strip().replace(" ", ":") for line in file)
        for name in ("local_listen_port", "num_machines"):
            config[name] = int(config[name])
    train = lightgbm.Dataset(data)
    valid_sets = [lightgbm.Dataset(valid, reference=train)] if valid else []
    booster = lightgbm.train(config, train, int(config.pop("num_trees", 10)), valid_sets=valid_sets)
    booster.save_model(model)
    print("%d trees in %s" % (booster.num_trees(), model))


main()
