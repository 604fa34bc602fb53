"""The purchase models that are fitted side by side. A model that is added here is fitted, compared, backtested and loaded."""

from models.purchases.geometric import BGNBD, MBGCNBD, MBGNBD
from models.purchases.model import PurchaseModel
from models.purchases.nbd import NBD
from models.purchases.pareto import ParetoNBD

FAMILY: dict[str, type[PurchaseModel]] = {
    model.name: model for model in (BGNBD, MBGNBD, MBGCNBD, ParetoNBD, NBD)
}
