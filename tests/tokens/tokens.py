"""The tokens of the table: how each is started, and what its set-up knows. What they can do is for the steps to find out."""
from pathlib import Path

from steps import Token

SUPPORT = Path(__file__).resolve().parent.parent / "support"
PIV_IDS = ("02", "03", "05", "06", "01", "07", "08", "09", "0a")
# What a resource manager does when a program ends; this TPM has none.
FLUSH = "tpm2_flushcontext -t; tpm2_flushcontext -l"

TOKENS = {
    "softhsm": Token("SoftHSM2", "softhsm2", [SUPPORT / "with_softhsm"]),
    "nss": Token("NSS softokn", "libnss3", [SUPPORT / "with_nss"]),
    "opencryptoki": Token("openCryptoki", "opencryptoki", [SUPPORT / "with_opencryptoki"]),
    "tpm": Token("TPM 2.0 by tpm2-pkcs11", "libtpm2-pkcs11-1", [SUPPORT / "with_tpm"], afterwards=FLUSH),
    "piv-ykcs11": Token("PIV card by ykcs11", "ykcs11", [SUPPORT / "with_piv_card"], officer=True, ids=PIV_IDS),
    "piv-opensc": Token("PIV card by OpenSC", "opensc-pkcs11", [SUPPORT / "with_piv_card", "--module", "opensc"],
                        keys_by=[SUPPORT / "with_piv_card"]),
    "iso-opensc": Token("ISO 7816 card by OpenSC", "opensc-pkcs11", [SUPPORT / "with_iso_card"]),
    "cac-opensc": Token("CAC card by OpenSC", "opensc-pkcs11", [SUPPORT / "with_cac_card"]),
    "p11-kit": Token("SoftHSM2 behind p11-kit server", "p11-kit", [SUPPORT / "with_softhsm", "--served"]),
}
