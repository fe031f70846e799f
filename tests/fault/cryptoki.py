"""A second opinion about a token: what is on it, read by ctypes without a line of hsmith.

Each question is asked by a child process of its own, because a module keeps what it has read.
"""
import ctypes
import hashlib
import json
import os
import signal

CK = ctypes.c_ulong
CKF_RW_SERIAL = 0x2 | 0x4
CKF_TOKEN_INITIALIZED = 0x400
CKU_USER = 1
CERTIFICATE, PUBLIC, PRIVATE = 1, 2, 3
SECRET = 4
CLASSES = {0: "data", CERTIFICATE: "certificate", PUBLIC: "public", PRIVATE: "private", 4: "secret"}
CKA_CLASS, CKA_TOKEN, CKA_LABEL, CKA_VALUE, CKA_KEY_TYPE, CKA_ID = 0, 1, 3, 0x11, 0x100, 0x102
CKA_SENSITIVE, CKA_DECRYPT, CKA_SIGN, CKA_DERIVE = 0x103, 0x105, 0x108, 0x10C
CKA_MODULUS, CKA_PUBLIC_EXPONENT, CKA_EXTRACTABLE, CKA_EC_POINT = 0x120, 0x122, 0x162, 0x181
CKA_TRUSTED, CKA_MODIFIABLE, CKA_WRAP_WITH_TRUSTED = 0x86, 0x170, 0x210
CKM_RSA_PKCS, CKM_ECDSA = 1, 0x1041
CKK_EC = 3
# Places in CK_FUNCTION_LIST (PKCS#11 2.40).
PLACES = {"C_Initialize": 0, "C_Finalize": 1, "C_GetSlotList": 4, "C_GetTokenInfo": 6, "C_OpenSession": 12,
          "C_Login": 18, "C_GetAttributeValue": 24, "C_SetAttributeValue": 25, "C_FindObjectsInit": 26, "C_FindObjects": 27,
          "C_FindObjectsFinal": 28, "C_SignInit": 42, "C_Sign": 43, "C_VerifyInit": 48, "C_Verify": 49}


def der(tag, content):
    size = len(content)
    length = bytes([size]) if size < 128 else bytes([0x82, size >> 8, size & 255]) if size > 255 else bytes([0x81, size])
    return bytes([tag]) + length + content


def der_number(value):
    return der(2, (b"\0" if value[0] > 127 else b"") + value)


def rsa_key(modulus, exponent):
    """RSAPublicKey (RFC 8017, A.1.1)."""
    return der(0x30, der_number(modulus) + der_number(exponent))


def spki_of(ec_point, rsa):
    """SubjectPublicKeyInfo of a P-256 point or an RSAPublicKey."""
    if ec_point:
        return bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200") + ec_point
    return der(0x30, bytes.fromhex("300d06092a864886f70d0101010500") + der(3, b"\0" + rsa))


class Refused(Exception):
    """The module answered with an error."""


class FunctionList(ctypes.Structure):
    _fields_ = [("version", ctypes.c_ubyte * 2), ("functions", ctypes.c_void_p * 68)]


class InitializeArguments(ctypes.Structure):  # with NSS's member where PKCS#11 has pReserved
    _fields_ = [("mutexes", ctypes.c_void_p * 4), ("flags", CK), ("init", ctypes.c_char_p), ("reserved", ctypes.c_void_p)]


class TokenInfo(ctypes.Structure):
    _fields_ = [("label", ctypes.c_char * 32), ("manufacturer", ctypes.c_char * 32), ("model", ctypes.c_char * 16),
                ("serial", ctypes.c_char * 16), ("flags", CK), ("rest", CK * 10), ("versions", ctypes.c_ubyte * 4),
                ("time", ctypes.c_char * 16)]


class Attribute(ctypes.Structure):
    _fields_ = [("type", CK), ("value", ctypes.c_void_p), ("size", CK)]


class Mechanism(ctypes.Structure):
    _fields_ = [("mechanism", CK), ("parameter", ctypes.c_void_p), ("size", CK)]


class Module:
    """A started module; its functions raise Refused with the code."""

    def __init__(self, path, init):
        functions = ctypes.POINTER(FunctionList)()
        if ctypes.CDLL(path).C_GetFunctionList(ctypes.byref(functions)):
            raise Refused("C_GetFunctionList")
        self.functions = functions.contents.functions
        arguments = InitializeArguments(flags=2, init=init.encode() or None)
        self.call("C_Initialize", ctypes.byref(arguments))

    def call(self, name, *arguments, may_fail=False):
        function = ctypes.CFUNCTYPE(CK)(self.functions[PLACES[name]])
        code = function(*arguments)
        if code and not may_fail:
            raise Refused(f"{name} says {code:#x}")
        return code

    def tokens(self):
        """Slot and information of each token that is initialised."""
        count = CK(64)
        slots = (CK * 64)()
        self.call("C_GetSlotList", ctypes.c_ubyte(1), slots, ctypes.byref(count))
        for slot in slots[:count.value]:
            info = TokenInfo()
            self.call("C_GetTokenInfo", CK(slot), ctypes.byref(info))
            if info.flags & CKF_TOKEN_INITIALIZED:
                yield slot, info.label.decode(errors="replace").rstrip(), info

    def open(self, slot):
        session = CK()
        self.call("C_OpenSession", CK(slot), CK(CKF_RW_SERIAL), None, None, ctypes.byref(session))
        return session

    def login(self, session, pin):
        return self.call("C_Login", session, CK(CKU_USER), pin.encode(), CK(len(pin)), may_fail=True) == 0

    def objects(self, session):
        handles, count = (CK * 1024)(), CK()
        self.call("C_FindObjectsInit", session, None, CK(0))
        self.call("C_FindObjects", session, handles, CK(1024), ctypes.byref(count))
        self.call("C_FindObjectsFinal", session)
        return handles[:count.value]

    def attribute(self, session, handle, kind):
        """The value, or None where the object does not give it."""
        attribute = Attribute(kind, None, 0)
        failed = self.call("C_GetAttributeValue", session, CK(handle), ctypes.byref(attribute), CK(1), may_fail=True)
        if failed or attribute.size > 1 << 20:
            return None
        value = ctypes.create_string_buffer(attribute.size + 1)
        attribute.value = ctypes.addressof(value)
        if self.call("C_GetAttributeValue", session, CK(handle), ctypes.byref(attribute), CK(1), may_fail=True):
            return None
        return value.raw[:attribute.size]

    def set_attribute(self, session, handle, kind, value):
        buffer = ctypes.create_string_buffer(value, len(value) + 1)
        attribute = Attribute(kind, ctypes.addressof(buffer), len(value))
        self.call("C_SetAttributeValue", session, CK(handle), ctypes.byref(attribute), CK(1))

    def belong_together(self, session, private, public, is_ec):
        """A signature by the one verifies with the other."""
        mechanism = ctypes.byref(Mechanism(CKM_ECDSA if is_ec else CKM_RSA_PKCS, None, 0))
        digest, signature, size = os.urandom(32), ctypes.create_string_buffer(512), CK(512)
        self.call("C_SignInit", session, mechanism, CK(private))
        self.call("C_Sign", session, digest, CK(32), signature, ctypes.byref(size))
        self.call("C_VerifyInit", session, mechanism, CK(public))
        return self.call("C_Verify", session, digest, CK(32), signature, size, may_fail=True) == 0


def read_object(module, session, handle):
    """An object as a dictionary of texts; nothing secret."""
    def value(kind):
        return module.attribute(session, handle, kind)

    def number(kind):
        return int.from_bytes(value(kind) or b"\xff", "little")

    object_class = number(CKA_CLASS)
    read = {"class": CLASSES.get(object_class, f"class {object_class}"), "handle": handle,
            "label": (value(CKA_LABEL) or b"").decode(errors="replace"), "id": (value(CKA_ID) or b"").hex()}
    if object_class == PRIVATE:
        read["may"] = "".join(letter for letter, kind in (("s", CKA_SIGN), ("d", CKA_DECRYPT), ("a", CKA_DERIVE))
                              if number(kind) == 1)
        read["guarded"] = number(CKA_SENSITIVE) == 1 and number(CKA_EXTRACTABLE) == 0
        if number(CKA_EXTRACTABLE) == 1 and number(CKA_WRAP_WITH_TRUSTED) == 1:
            read["backup"] = number(CKA_SENSITIVE) == 1
        read["ec"] = number(CKA_KEY_TYPE) == CKK_EC
    elif object_class == SECRET:
        read["trusted"] = [number(kind) for kind in (CKA_TRUSTED, CKA_SENSITIVE, CKA_EXTRACTABLE, CKA_MODIFIABLE)] == [1, 1, 0, 0]
    elif object_class == PUBLIC:
        point, modulus = value(CKA_EC_POINT), value(CKA_MODULUS)
        if point and point[0] == 4 and point[1] == len(point) - 2:
            point = point[2:]
        key = point or (rsa_key(modulus, value(CKA_PUBLIC_EXPONENT)) if modulus else b"")
        read["key_id"] = hashlib.sha1(key).hexdigest()
        read["spki"] = hashlib.sha256(spki_of(point, key)).hexdigest()
    elif object_class == CERTIFICATE:
        read["material"] = hashlib.sha256(value(CKA_VALUE) or b"").hexdigest()
    return read


def read_token(path, init, label, pins):
    """{"pin": the one of `pins` that opens it, or None; "objects": [...]}, or {"absent": True}."""
    module = Module(path, init)
    # Of several with one label the last counts: each has an object list of its own, and one must do.
    slots = [slot for slot, name, _ in module.tokens() if name == label]
    if not slots:
        return {"absent": True, "tokens": [name for _, name, _ in module.tokens()]}
    session = module.open(slots[-1])
    pin = next((pin for pin in pins if module.login(session, pin)), None)
    objects = [read_object(module, session, handle) for handle in module.objects(session)]
    for one in objects:
        publics = [other["handle"] for other in objects if other["class"] == "public" and other["id"] == one["id"]
                   and other["label"] == one["label"]]
        if one["class"] == "private" and one["may"] == "s" and len(publics) == 1:
            one["works"] = module.belong_together(session, one["handle"], publics[0], one["ec"])
    for one in objects:
        del one["handle"]
    objects.sort(key=lambda one: json.dumps(one, sort_keys=True))
    return {"pin": pin, "objects": objects, "tokens": len(slots)}


def look(path, init, label, pins, environment):
    """read_token in a child with this environment; {"damaged": why} when the module cannot read it."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.environ.update(environment)
            signal.alarm(20)
            try:
                answer = read_token(path, init, label, pins)
            except Refused as refused:
                answer = {"damaged": str(refused)}
            os.write(writer, json.dumps(answer).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    return json.loads(answer) if answer else {"damaged": f"the module ended its process ({status})"}
