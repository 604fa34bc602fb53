"""When customers buy: the family of purchase models, and how they are fitted."""

from models.purchases.averaged import Averaged
from models.purchases.family import FAMILY
from models.purchases.fitting import (
    FitError,
    PurchasesFit,
    Regularity,
    akaike_weights,
    average_family,
    dropout_weight,
    fit_again,
    fit_family,
    fit_purchases,
)
from models.purchases.geometric import BGNBD, MBGCNBD, MBGNBD, BetaGeometric
from models.purchases.model import PurchaseModel, as_arrays, mean_by_phase
from models.purchases.nbd import NBD
from models.purchases.pareto import ParetoNBD
from models.purchases.prior import Normal, Prior

__all__ = [
    "BGNBD",
    "FAMILY",
    "MBGCNBD",
    "MBGNBD",
    "NBD",
    "Averaged",
    "BetaGeometric",
    "FitError",
    "Normal",
    "ParetoNBD",
    "Prior",
    "PurchaseModel",
    "PurchasesFit",
    "Regularity",
    "akaike_weights",
    "as_arrays",
    "average_family",
    "dropout_weight",
    "fit_again",
    "fit_family",
    "fit_purchases",
    "mean_by_phase",
]
