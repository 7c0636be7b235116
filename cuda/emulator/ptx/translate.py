#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Translates the PTX that nvcc makes of a kernel file to C++ that runs on the emulator.

    translate.py [--contracted] IN.ptx OUT.cpp

Each function becomes a C++ function over virtual registers, each instruction a call of a function of ptx.hpp, which has its
meaning: through a plain function of the module from registers to a register, for a compiler takes twice as long where it
resolves templates at every instruction. An instruction that the table below lacks is an error that names file, line and
text; so is an addition or a product without a rounding mode, which the next compiler may contract to a fused one, unless
--contracted says that this is wanted.
"""
import argparse
import re
import sys

BITS = {"b": "uint{}_t", "u": "uint{}_t", "s": "int{}_t"}
SPECIAL = {"%tid.x": "threadIdx.x", "%ntid.x": "blockDim.x", "%ctaid.x": "blockIdx.x", "%nctaid.x": "gridDim.x"}
FLOAT_LITERAL = re.compile(r"0[fF]([0-9a-fA-F]{8})|0[dD]([0-9a-fA-F]{16})")
SPACES = ("global", "local", "shared", "param")
INTEGER, FLOAT = r"([bsu](?:8|16|32|64))", r"(f32|f64)"

# Opcode, function of ptx.hpp, types of the operands read: groups of the pattern, or types.
TABLE = [(re.compile(pattern + "$"), function, types.split()) for pattern, function, types in [
    (r"(add|sub)\." + INTEGER, "{0}<{1}>", "1 1"),
    (r"mul\.(lo|hi)\." + INTEGER, "mul_{0}<{1}>", "1 1"),
    (r"mul\.wide\.([su](?:16|32))", "mul_wide<{0}>", "0 0"),
    (r"mad\.lo\." + INTEGER, "mad_lo<{0}>", "0 0 0"),
    (r"(div|rem)\." + INTEGER, "{0}<{1}>", "1 1"),
    (r"(min|max)\." + INTEGER, "least_{0}<{1}>", "1 1"),
    (r"(neg|abs)\.(s16|s32|s64)", "{0}<{1}>", "1"),
    (r"(and|or|xor)\.(b16|b32|b64|pred)", "bit_{0}<{1}>", "1 1"),
    (r"not\.(b16|b32|b64|pred)", "bit_not<{0}>", "0"),
    (r"shl\.(b16|b32|b64)", "shl<{0}>", "0 u32"),
    (r"shr\.([bsu](?:16|32|64))", "shr<{0}>", "0 u32"),
    (r"shf\.(l|r)\.(wrap|clamp)\.b32", "shf_{0}_{1}", "u32 u32 u32"),
    (r"bfi\.(b32|b64)", "bfi<{0}>", "0 0 u32 u32"),
    (r"bfe\.([su](?:32|64))", "bfe<{0}>", "0 u32 u32"),
    (r"(brev|clz|popc)\.(b32|b64)", "{0}<{1}>", "1"),
    (r"bfind\.shiftamt\.u32", "bfind_shiftamt", "u32"),
    (r"prmt\.b32", "prmt", "u32 u32 u32"),
    (r"lop3\.b32", "lop3", "u32 u32 u32 u32"),
    (r"selp\.([bsuf](?:16|32|64))", "selp<{0}>", "0 0 pred"),
    (r"setp\.(eq|ne|lt|le|gt|ge|lo|ls|hi|hs)\.([bsu](?:16|32|64))", "compare_{0}<{1}>", "1 1"),
    (r"setp\.(eq|ne|lt|le|gt|ge|equ|neu|ltu|leu|gtu|geu|num|nan)\." + FLOAT, "compare_{0}<{1}>", "1 1"),
    (r"set\.gt\.u32\.(f16x2|bf16x2)", "set_gt_{0}", "u32 u32"),
    (r"(add|sub|mul|div)\.rn\." + FLOAT, "{0}_rn<{1}>", "1 1"),
    (r"fma\.rn\." + FLOAT, "fma_rn<{0}>", "0 0 0"),
    (r"(sqrt|rcp)\.rn\." + FLOAT, "{0}_rn<{1}>", "1"),
    (r"rcp\.approx\.ftz\.f64", "rcp_approx_ftz", "f64"),
    (r"(neg|abs)\." + FLOAT, "{0}_float<{1}>", "1"),
    (r"(min|max)\." + FLOAT, "{0}_float<{1}>", "1 1"),
    (r"cvt\." + INTEGER + r"\." + INTEGER, "convert<{0}, {1}>", "1"),
    (r"cvt\.rn\." + FLOAT + r"\." + INTEGER, "convert<{0}, {1}>", "1"),
    (r"cvt\.rzi\." + INTEGER + r"\." + FLOAT, "convert_rzi<{0}, {1}>", "1"),
    (r"cvt\.(rzi|rmi|rni)\.(f64)\.f64", "round_{0}", "1"),
    (r"cvt\.(f64)\.(f32)", "convert_float<{0}, {1}>", "1"),
    (r"cvt\.rn\.(f32)\.(f64)", "convert_float<{0}, {1}>", "1"),
    (r"cvt\.f32\.(f16|bf16)", "from_{0}", "u16"),
    (r"cvt\.rn\.(f16|bf16)\.f32", "to_{0}", "f32"),
    (r"cvt\.rn\.(f16x2|bf16x2)\.f32", "to_{0}", "f32 f32"),
    (r"atom\.global\.(add|or|exch|max)\.([bu](?:32|64))", "atom_{0}<{1}>", "address 1"),
    (r"vote\.sync\.(any|all)\.pred", "vote_{0}", "pred u32"),
    (r"vote\.sync\.ballot\.b32", "vote_ballot", "pred u32"),
    (r"shfl\.sync\.(bfly|idx)\.b32", "shfl_{0}", "u32 u32 u32 u32"),
]]
CONTRACTED = (re.compile(r"(add|sub|mul)\." + FLOAT + "$"), "{0}_rn<{1}>", ["1", "1"])
# Without a result.
EFFECTS = {"membar.gl": "__threadfence()", "membar.sys": "__threadfence_system()", "fence.sc.gpu": "__threadfence()",
           "bar.warp.sync": "__syncwarp({0})", "ret": "return", "exit": "return", "trap": "__builtin_trap()",
           "griddepcontrol.wait": "gradclip::emulator::awaitKernelBefore()", "griddepcontrol.launch_dependents": "static_cast<void>(0)"}


class Refused(Exception):
    pass


def type_of(suffix):
    """The C++ type of a PTX type."""
    if suffix in ("pred", "f32", "f64"):
        return {"pred": "bool", "f32": "float", "f64": "double"}[suffix]
    if not re.fullmatch(r"[bsu](8|16|32|64)", suffix):
        raise Refused("unknown type ." + suffix)
    return BITS[suffix[0]].format(suffix[1:])


def storage_of(suffix):
    """The C++ type of a register of a PTX type."""
    return "bool" if suffix == "pred" else "uint{}_t".format(max(16, int(suffix[1:])))


def register(name):
    return "v_" + name.lstrip("%").replace("$", "_")


def split(text):
    """Operands, at commas outside brackets."""
    parts, depth, part = [], 0, ""
    for c in text:
        depth += (c in "{[(") - (c in "}])")
        if c == "," and depth == 0:
            parts.append(part.strip())
            part = ""
        else:
            part += c
    return parts + [part.strip()] if part.strip() else parts


class Function:
    """One function: its registers, what its names stand for, and its C++ so far."""

    def __init__(self, module, name, is_entry):
        self.module, self.name, self.is_entry = module, name, is_entry
        self.code, self.banks, self.blocks = [], {}, [set()]
        self.params = {}   # name: pointer to the bytes
        self.symbols = {}  # name: value where an operand names it
        self.statements = []
        self.named = {}  # registers outside banks, and their types

    # ---- operands

    def storage(self, text):
        """The C++ type of a register."""
        bank = re.fullmatch(r"%([A-Za-z]+)\d+", text)
        if text in self.named:
            return storage_of(self.named[text])
        if bank and bank.group(1) in self.banks:
            return storage_of(self.banks[bank.group(1)])
        raise Refused("unknown register " + text)

    def bits(self, text, suffix):
        """An operand that is read, as it lies in its register, and the C++ type of that."""
        if text.startswith("%") and text not in SPECIAL:
            return register(text), self.storage(text)
        literal = FLOAT_LITERAL.fullmatch(text)
        if literal:
            digits = literal.group(1) or literal.group(2)
            return "0x{}u".format(digits), "uint{}_t".format(4 * len(digits))
        return self.value(text, suffix), type_of(suffix)

    def value(self, text, suffix):
        """An operand that is read, as a C++ expression of a PTX type."""
        if text.startswith("!"):
            return "!" + self.value(text[1:], suffix)
        if text in SPECIAL:
            return SPECIAL[text]
        ctype = type_of(suffix)
        if text.startswith("%"):
            self.storage(text)
            return "as<{}>({})".format(ctype, register(text))
        literal = FLOAT_LITERAL.fullmatch(text)
        if literal:
            digits = literal.group(1) or literal.group(2)
            return "as<{}>(uint{}_t{{0x{}u}})".format(ctype, 4 * len(digits), digits)
        if re.fullmatch(r"-?(0[xX][0-9a-fA-F]+|\d+)U?", text):
            number = int(text.rstrip("U"), 0)
            if suffix == "pred":
                return "true" if number else "false"
            bits = number & (1 << int(suffix[1:])) - 1
            return "static_cast<{}>({})".format(ctype, "%du" % bits if 0 <= number < 2**32 else "0x%xull" % bits)
        if text in self.symbols:
            return self.symbols[text]
        if text in self.module.shared:
            return "uint64_t{0}"
        raise Refused("unknown operand " + text)

    def address(self, text, space):
        match = re.fullmatch(r"\[\s*([%\w$.]+)\s*(?:\+\s*(-?\d+))?\s*\]", text)
        if not match:
            raise Refused("unknown address " + text)
        base, offset = match.group(1), int(match.group(2) or 0)
        if base.startswith("%"):
            return "{} + static_cast<uint64_t>({})".format(register(base), offset)
        if space == "param":
            if base not in self.params:
                raise Refused("unknown parameter " + base)
            return "address_of({}) + {}".format(self.params[base], offset)
        return "{} + {}".format(self.value(base, "b64"), offset)

    def used(self, operands):
        """Registers that a statement reads, for the model of waits."""
        return [register(r) for text in operands for r in re.findall(r"%[A-Za-z]+\d*", text) if r not in SPECIAL]

    # ---- instructions

    def instruction(self, opcode, operands):
        head = opcode.split(".")[0]
        if head == "red":  # an atomic operation whose result nobody wants
            return self.instruction("atom" + opcode[3:], ["_"] + operands)
        if head in ("ld", "ldu"):
            return self.load(opcode, operands)
        if head == "st":
            return self.store(opcode, operands)
        if head == "mov":
            return self.move(opcode, operands)
        if head == "bra":
            return "goto {};".format(self.label(operands[0]))
        if head == "cvta":
            shared = "shared" in opcode and ".to." not in opcode
            return "put({}, {}{});".format(register(operands[0]), "shared_base() + " if shared else "",
                                           self.value(operands[1], "b64"))
        if opcode in ("bar.sync", "barrier.sync"):
            if operands != ["0"]:
                raise Refused("a barrier of its own")
            return "__syncthreads();"
        if opcode in EFFECTS:
            return EFFECTS[opcode].format(*[self.value(o, "u32") for o in operands]) + ";"
        rules = TABLE + [CONTRACTED] if self.module.contracted else TABLE
        for pattern, function, types in rules:
            match = pattern.match(opcode)
            if match:
                return self.call_instruction(match, function, types, operands)
        if CONTRACTED[0].match(opcode):
            raise Refused("may be contracted: no rounding mode")
        raise Refused("unknown instruction")

    def call_instruction(self, match, function, types, operands):
        groups = match.groups()
        suffixes = [groups[int(t)] if t.isdigit() else t for t in types]
        target, _, second = operands[0].partition("|")
        read = operands[1:]
        if len(read) != len(suffixes):
            raise Refused("{} operands, expected {}".format(len(read), len(suffixes)))
        arguments = [(self.address(o, "global"), "uint64_t") if s == "address" else self.bits(o, s)
                     for o, s in zip(read, suffixes)]
        names = [type_of(g) if re.fullmatch(r"pred|f32|f64|[bsu](8|16|32|64)", g) else g for g in groups]
        types = ["uint64_t" if s == "address" else type_of(s) for s in suffixes]
        to = self.storage(target) if target != "_" else "void"
        name = self.module.step(function.format(*names), to, [t for _, t in arguments], types)
        result = "{}({});".format(name, ", ".join(a for a, _ in arguments))
        if target != "_":
            result = "{} = {}".format(register(target), result)
        if second and second != "_":
            inverse = "true" if match.group(0).startswith("shfl") else "!" + register(target)
            result += " put({}, {});".format(register(second), inverse)
        return result

    def memory(self, opcode):
        """Space, operands at once and type of a load or a store."""
        parts = opcode.split(".")[1:]
        known = SPACES + ("v2", "v4", "nc", "relaxed", "volatile", "weak", "gpu", "sys")
        for part in parts[:-1]:
            if part not in known:
                raise Refused("unknown modifier ." + part)
        space = next((p for p in parts if p in SPACES), "generic")
        return space, parts[-1]

    def load(self, opcode, operands):
        space, suffix = self.memory(opcode)
        targets = split(operands[0].strip("{}"))
        size = int(suffix[1:]) // 8
        how = "load_{}<{}>".format(space, size * len(targets))
        if ".volatile" in opcode:  # another block changes it
            if opcode != "ld.volatile.global.u32":
                raise Refused("a volatile read of anything but a word")
            how = "poll_global"
        code = "{{ const auto m = {}({}); ".format(how, self.address(operands[1], space))
        for i, target in enumerate(targets):
            if target == "_":
                continue
            code += "put({}, m.at<{}>({})); ".format(register(target), type_of(suffix), i * size)
            if space == "global":
                self.module.loaded.add(register(target))
                code += "cost.load(s_{}, {}); ".format(register(target), 0 if i else size * len(targets))
        return code + "}"

    def store(self, opcode, operands):
        space, suffix = self.memory(opcode)
        sources = split(operands[1].strip("{}"))
        size = int(suffix[1:]) // 8
        unsigned = "b" + suffix[1:]
        code = "{{ Bytes<{}> m; ".format(size * len(sources))
        for i, source in enumerate(sources):
            code += "m.set<{}>({}, {}); ".format(type_of(unsigned), i * size, self.value(source, unsigned))
        return code + "store_{}({}, m); }}".format(space, self.address(operands[0], space))

    def move(self, opcode, operands):
        suffix = opcode.split(".")[1]
        target, source = operands
        if target.startswith("{"):
            targets = split(target.strip("{}"))
            width = int(suffix[1:]) // len(targets)
            code = "{{ const uint64_t w = {}; ".format(self.value(source, "b" + suffix[1:]))
            for i, name in enumerate(targets):
                if name != "_":
                    code += "put({}, static_cast<uint{}_t>(w >> {})); ".format(register(name), width, i * width)
            return code + "}"
        if source.startswith("{"):
            sources = split(source.strip("{}"))
            width = int(suffix[1:]) // len(sources)
            words = ["static_cast<uint64_t>({}) << {}".format(self.value(s, "b%d" % width), i * width)
                     for i, s in enumerate(sources)]
            return "put({}, {});".format(register(target), " | ".join(words))
        bits, storage = self.bits(source, suffix)
        if storage == self.storage(target):
            return "{} = {};".format(register(target), bits)
        return "put({}, {});".format(register(target), self.value(source, suffix))

    def label(self, name):
        return "L" + re.sub(r"\W", "_", name)

    # ---- statements

    def statement(self, text):
        declared = re.fullmatch(r"\.reg\s+\.(\w+)\s+(.*)", text)
        if declared:
            for name in split(declared.group(2)):
                bank = re.fullmatch(r"%([A-Za-z]+)<\d+>", name)
                if bank:
                    self.banks[bank.group(1)] = declared.group(1)
                else:
                    self.named["%" + name.lstrip("%")] = declared.group(1)
                    zero = "{} {} = 0;".format(storage_of(declared.group(1)), register(name))
                    self.code.insert(0, zero) if len(self.blocks) == 1 else self.code.append(zero)
            return
        local = re.fullmatch(r"\.local\s+\.align\s+\d+\s+\.b8\s+([\w$]+)\[(\d+)\]", text)
        if local:
            self.code.insert(0, "alignas(16) unsigned char {0}[{1}]; memset({0}, 0xAA, {1});".format(*local.groups()))
            self.symbols[local.group(1)] = "address_of({})".format(local.group(1))
            return
        parameter = re.fullmatch(r"\.param\s+(?:\.align\s+\d+\s+)?\.(\w+)\s+([\w$]+)(?:\[(\d+)\])?", text)
        if parameter:
            size = int(parameter.group(3) or int(parameter.group(1)[1:]) // 8)
            self.code.append("alignas(16) unsigned char c_{}[{}];".format(parameter.group(2), size))
            self.params[parameter.group(2)] = "c_" + parameter.group(2)
            return
        if text.startswith(".pragma"):
            return
        guarded = re.match(r"@(!?)(%\w+)\s+(.*)", text, flags=re.S)
        guard = ""
        read = []
        if guarded:
            guard = "if ({}{}) ".format(guarded.group(1), register(guarded.group(2)))
            read = [guarded.group(2)]
            text = guarded.group(3)
        call = re.match(r"call(?:\.uni)?\s*(?:\(([^)]*)\)\s*,)?\s*([\w$]+)\s*(?:,\s*\(([^)]*)\))?$", text)
        if call:
            given = [self.params[x] for part in (call.group(1), call.group(3)) for x in split(part or "")]
            self.emit(read, guard + "{}({});".format(self.module.cname(call.group(2)), ", ".join(given)))
            return
        opcode, _, rest = text.partition(" ")
        opcode, operands = opcode.strip(), split(rest.strip())
        if opcode.startswith("mov") and not guard and operands[0].startswith("%") and operands[1].startswith("%") \
                and operands[1] not in SPECIAL:
            self.statements.append((register(operands[0]), register(operands[1])))
            self.code.append(("copy", register(operands[0]), register(operands[1])))
        else:
            first = 0 if opcode.startswith(("st", "bra", "red")) else 1
            read += operands[first:]
        if opcode.startswith("bra") and guard:
            guard = "cost.branch(); " + guard
        self.emit(read, guard + self.instruction(opcode, operands))

    def emit(self, read, line):
        self.code.append(("use", self.used(read)))
        self.code.append(line)

    def declaration(self, name):
        """A register of a bank, full of what no kernel may count on."""
        suffix = self.banks[re.match(r"v_([A-Za-z]+)", name).group(1)]
        storage = storage_of(suffix)
        value = "true" if suffix == "pred" else "static_cast<{}>(0xa5a5a5a5a5a5a5a5u)".format(storage)
        return "{} {} = {};".format(storage, name, value)

    def finish(self, signature):
        loaded = self.module.loaded
        grew = True
        while grew:  # a copy of what is loaded is waited for where it is used
            new = {t for t, s in self.statements if s in loaded} - loaded
            loaded |= new
            grew = bool(new)
        lines = []
        for line in self.code:
            if not isinstance(line, tuple):
                lines.append(line)
            elif line[0] == "use":
                lines += ["cost.use(s_{});".format(r) for r in line[1] if r in loaded]
            elif line[1] in loaded:
                lines.append("s_{} = {};".format(line[1], "s_" + line[2] if line[2] in loaded else "0"))
        text = "\n".join(lines)
        names = sorted(set(re.findall(r"\bv_[A-Za-z]+\d+\b", text)))
        registers = [self.declaration(n) for n in names]
        stamps = ["uint32_t s_{} = 0;".format(r) for r in sorted(loaded) if "s_" + r in text]
        body = registers + stamps + ["Cost& cost = Cost::mine();", "static_cast<void>(cost);"] + lines
        return signature + " {\n  " + "\n  ".join(body) + "\n}\n"


class Module:
    """One PTX file."""

    def __init__(self, name, lines, contracted):
        self.name, self.lines, self.contracted = name, lines, contracted
        self.shared, self.prototypes, self.functions, self.entries = set(), {}, [], []
        self.loaded = set()
        self.steps = {}  # functions from registers to a register, by what they do
        self.at = 0

    def step(self, function, to, registers, types):
        """The name of the function that reads registers as types, calls one of ptx.hpp and puts its result into a register."""
        given = ", ".join("{} r{}".format(r, i) for i, r in enumerate(registers))
        call = "{}({})".format(function, ", ".join("as<{}>(r{})".format(t, i) for i, t in enumerate(types)))
        body = call + ";" if to == "void" else "{} to; put(to, {}); return to;".format(to, call)
        name = re.sub(r"\W+", "_", "do_{}_{}".format(function, len(self.steps)))
        return self.steps.setdefault("inline {} {{}}({}) {{{{ {} }}}}".format(to, given, body), name)

    def cname(self, name):
        return "ptx_" + re.sub(r"\W", "_", name)

    def next(self):
        line = re.sub(r"//.*", "", self.lines[self.at]).strip()
        self.at += 1
        return line

    def translate(self):
        while self.at < len(self.lines):
            line = self.next()
            shared = re.match(r"\.extern\s+\.shared\s+\.align\s+\d+\s+\.b8\s+([\w$]+)\[\]", line)
            if shared:
                self.shared.add(shared.group(1))
            elif re.search(r"\.(entry|func)\b", line):
                self.function(line)
            elif line and not line.startswith((".version", ".target", ".address_size")):
                raise Refused("unknown: " + line)

    def function(self, header):
        body = header.endswith("{")
        while not body and not header.endswith(";"):
            line = self.next()
            body = line == "{"
            header += " " + line
        parts = re.search(r"\.(entry|func)\s+(?:\((.*?)\)\s*)?([\w$]+)\s*(?:\((.*?)\))?", header, flags=re.S)
        kind, result, name, parameters = parts.groups()
        pattern = re.compile(r"\.param\s+(?:\.align\s+\d+\s+)?\.(\w+)\s+(?:\.ptr[\s\w.]*?\s)?([\w$]+)(?:\[(\d+)\])?")
        results, given = pattern.findall(result or ""), pattern.findall(parameters or "")
        function = Function(self, name, kind == "entry")
        self.loaded = set()
        for i, (_, parameter, _) in enumerate(given):
            function.params[parameter] = "p{}".format(i)
            function.symbols[parameter] = "address_of(p{})".format(i)
        for _, parameter, _ in results:
            function.params[parameter] = "result"
        arguments = ["unsigned char* result"] * len(results) + ["const unsigned char* p%d" % i for i in range(len(given))]
        signature = "static void {}({})".format(self.cname(name), ", ".join(arguments))
        self.prototypes[name] = signature
        if not body:
            return
        if kind == "entry":
            self.entries.append((name, int(given[0][2])))
        self.body(function)
        self.functions.append(function.finish(signature))

    def body(self, function):
        text = ""
        while True:
            line = self.next()
            if not text and line.startswith("{"):
                function.blocks.append(set())
                function.code.append("{")
                line = line[1:].strip()
            closes = line.endswith("; }")
            if closes:
                line = line[:-1].strip()
            if not text and line == "}":
                function.blocks.pop()
                if not function.blocks:
                    return
                function.code.append("}")
            elif not text and re.fullmatch(r"[\w$]+:", line):
                function.code.append(function.label(line[:-1]) + ":;")
            elif line:
                text = (text + " " + line).strip()
                if text.endswith(";"):
                    for statement in filter(None, (s.strip() for s in text.split(";"))):
                        try:
                            function.statement(re.sub(r"\s+", " ", statement))
                        except (Refused, KeyError) as refused:
                            raise Refused("{}: {}".format(statement, refused))
                    text = ""
            if closes:
                function.blocks.pop()
                function.code.append("}")

    def write(self, out):
        out.write('#include "ptx.hpp"\n\nnamespace {\nusing namespace gradclip::ptx;\n\n')
        for step, name in self.steps.items():
            out.write(step.format(name) + "\n")
        for signature in self.prototypes.values():
            out.write("[[maybe_unused]] " + signature + ";\n")
        out.write("\n" + "\n".join(self.functions) + "\n}  // namespace\n\n")
        for i, (name, size) in enumerate(self.entries):
            # The kernel that g++ compiled has the same mangled name: a launch of it finds the translation.
            out.write('extern "C" void kernel_{0}_{1}() asm("{2}");\n'.format(self.cname(self.name), i, name))
            out.write('static const gradclip::ptx::Kernel register_{0}(kernel_{1}_{0}, {2}, {3}, "{4}");\n'.format(
                i, self.cname(self.name), self.cname(name), size, name))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contracted", action="store_true", help="take operations without a rounding mode")
    parser.add_argument("ptx")
    parser.add_argument("cpp")
    options = parser.parse_args()
    with open(options.ptx, encoding="ascii") as source:
        lines = source.read().split("\n")
    module = Module(re.sub(r".*/", "", options.ptx), lines, options.contracted)
    try:
        module.translate()
    except Refused as refused:
        sys.exit("{}:{}: {}".format(options.ptx, module.at, refused))
    with open(options.cpp, "w", encoding="ascii") as out:
        module.write(out)


if __name__ == "__main__":
    main()
