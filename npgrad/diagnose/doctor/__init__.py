"""The training doctor: examines a training run for a few steps, says what is wrong, how it knows, and what to do.

    report = doctor.examine(model, F.cross_entropy, batches, optimizer)
    print(report)
    print(doctor.treat(report[0]))

`vitals` and `exam` measure, `data` looks at the data alone, `capacity` adds units or draws weights again, `diagnoses`
judge, with the lines drawn in `thresholds`; `finding` is what they say, `treatment` tries a remedy. Model, optimiser,
batches and generators are left as they were (`snapshot`). How often it is right is measured by
`python -m benchmarks.ward`.
"""

from npgrad.diagnose.doctor.examination import examine
from npgrad.diagnose.doctor.finding import Finding, Report
from npgrad.diagnose.doctor.treatment import Treatment, treat

__all__ = ["Finding", "Report", "Treatment", "examine", "treat"]
