from __future__ import annotations

from ssd.training.progress import Progress


def losses(localization: float, classification: float) -> dict[str, float]:
    return {
        "localization_loss": localization,
        "classification_loss": classification,
        "regularization_loss": 0.25,
        "total_loss": localization + classification + 0.25,
        "learning_rate": 0.0625,
        "boxes": 5.0,
        "matched_anchors": 9.0,
    }


def test_the_mean_is_that_of_finite_losses(capsys):
    """A step that loss scaling skips may have had a loss that is not finite."""
    progress = Progress(0, 3, 4)
    progress.update(1, losses(1.0, 2.0))
    progress.update(2, losses(float("nan"), 3.0))
    progress.update(3, losses(2.0, 4.0))
    progress.close()
    # Localization (1 + 2) / 2, classification (2 + 3 + 4) / 3, the total (3.25 + 6.25) / 2.
    assert capsys.readouterr().out.startswith(
        "step 3/3: loss 4.750 = localization 1.500 + classification 3.000 + regularization 0.250  "
        "lr 0.0625"
    )
