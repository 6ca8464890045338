"""The line file that `wafergate init` writes."""

__all__ = ["TEMPLATE"]

TEMPLATE = """\
# A production line, as its team decides it. Keys left out keep the default shown.

[line]
name = "my-line"
product = "what is made on it"
classes = ["scratch", "particle"]     # defect classes
critical = []                         # those that must prove more, see [gate]

[intake]
pattern = ''                          # e.g. '(?P<lot>L\\d+)_(?P<wafer>W\\d+)': file names become metadata
reference = ""                        # golden reference, e.g. "{folder}/{stem}_golden{suffix}"
unlabelled = "format"                 # image without label file: as its format says, "normal" or "quarantine"
licence = "LicenseRef-Proprietary"    # SPDX identifier of the images

[taxonomy]                            # raw label -> defect class, only where names differ
# map = [{ raw = "scr", defect_class = "scratch", rationale = "old name of the same defect" }]
# signed_by = ""                      # who agreed on the customer's side; unsigned never promotes
# signed_on = 2026-01-31
# reference = ""

[boxes]                               # past these a box is reported, never moved
min_side = 2.0
max_aspect = 30.0
outside_px = 1.0
size_score = 6.0                      # robust deviations from its class's usual size

[validation]                          # past these a dataset version is reported
min_class_images = 10
max_imbalance = 10.0
# severity = { box_duplicate = "error" }  # an error stops the flow, a warning reports

[near_duplicates]                     # the same part seen again stays on one side
correlation = 0.95                    # of the registered detail of two images, at least
difference = 0.12                     # largest local difference in it, at most
max_views = 12                        # images of one part, at most; more show the product's pattern

[tile]                                # small defects: training cuts, test and inspection see by the same tiles
# rows = 2
# columns = 2
# overlap = 0                         # pixels, or a share below 1: as wide as the largest defect
# min_visible = 0.5                   # share of a box that must be left in a tile

[split]
group_by = []                         # e.g. ["lot"]: images of a lot stay on one side
test_per_class = 100
val_per_class = 20
min_train_share = 0.4

[augment]                             # of the training side only
target = "median"                     # median, max, or a number of instances
per_original = 4
per_class = 4.0
total = 1.0

[models]
candidate = "yolox-nano"              # "auto": the best on validation of those that fit licences and hardware
choose_from = []                      # what "auto" chooses between; empty for all that are known
channels = "image"                    # "golden" compares with the golden reference
image_size = 416
epochs = 30
window = 0                            # 256 teaches windows of so many pixels around defects that fit into one
few_images = true                     # even classes, a backbone that thaws, the weakest class keeps the state
batch = 8
random_start = false

[hardware.train]
device = "auto"
memory_mib = 0                        # 0 means no limit; past it fewer images are taken at a time

[hardware.serve]                      # 0 means no limit
latency_ms = 0                        # median for one image; `wafergate latency` measures it
latency_p99_ms = 0
pair_latency_ms = 0                   # two images at once
size_mib = 0

[licences]
allowed = ["Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "CC-BY-4.0", "LicenseRef-Proprietary"]
# exceptions = { "AGPL-3.0-only" = { who = "name", why = "used in-house only", until = 2027-06-30 } }
# A backend's code stays under its licence in [[models.candidates]] too; a commercial licence is an exception.

[gate]
recall = 0.90                         # the lower bound of every class's recall must reach it
critical_recall = 0.95
confidence = 0.95
iou = 0.5
overkill = 0.10                       # the upper bound of the overkill rate, at most
approval = "auto"                     # or "approval": a person releases what passed
approver_differs = false              # true: another person than the one who asked for the training

[prevalence]                          # real share of parts that show each class, where it is known
# scratch = 0.002

[cost]                                # both or none; with them thresholds follow the lowest expected cost
# escape = 40.0                       # of a defective part let through; needs every class in [prevalence]
# overkill = 1.5                      # of a good part held back
# unit = "EUR"

[inspection]
keep_months = 0                       # what the champion said of every image; 0 keeps it for good

[drift]
method = "ks"
threshold = 0.001                     # false discovery rate over all features of a window and its slices
window = "day"                        # or "lot", or a number of images, e.g. "500"
min_images = 30                       # fewer are `not_enough`
reference_images = 1000               # so many of stable windows replace the training images as the reference

[review]                              # which inspected images people look at
audit = 0.05                          # chance of each image to be drawn at random; recall in production rests on these
near = 0.05                           # at most, of an inspection: scores near a threshold
far = 0.05                            # at most, of an inspection: images unlike training
margin = 0.2                          # near: within this share of the threshold
day = 100                             # at most, of each of the three in a day

[golden]                              # how far an answer may lie from the sealed one
iou = 0.9                             # least overlap of a box
score = 0.05                          # largest difference of a score

[governor]                            # when drift, or a person, asks for a retraining
min_new_labels = 30                   # images with labels the champion has not learnt from
cooldown_hours = 24.0                 # since the last retraining started
runs_per_week = 3
heed_advice = true                    # drift that a recalibration answers does not retrain

[alerts]
channels = []                         # "env:NAME": an Apprise address in that variable; without secrets also here
window_hours = 12                     # the same cause is told once in so many hours

[schedule]                            # cron; empty means by hand
retrain = ""
inspect = ""
watch = ""
golden = ""
alerts = "*/5 * * * *"                # tries again what a channel did not take
timezone = "UTC"                      # also of times in metadata.csv that name no zone
source = ""                           # labelled images, for retrain
format = ""                           # coco, deeppcb, masks, voc or yolo
incoming = ""                         # new images, for inspect and watch
incoming_format = ""                  # where it differs, e.g. "images"
lost_after_s = 300                    # without a sign of life a run counts as crashed
"""
