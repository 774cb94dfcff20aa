"""Revocation lists: who signed them, how long they are valid, and what happens to peers without one."""

from __future__ import annotations

import datetime as dt
import random
import ssl
import time
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509

from entrypoint.aws.object_storage import StoredObject
from entrypoint.judging.revocation import RevocationLists, UsableLists
from entrypoint.judging.revocation_list import read_revocation_list
from evidence.fixtures.pki import Hierarchy
from meshcert.errors import AwsRefused, AwsUnavailable
from meshcert.material import ListSource, TrustBundle
from meshcert.proxy import Revocation

if TYPE_CHECKING:
    from evidence.fixtures.pki import KeyAlgorithm
    from meshcert.errors import MeshcertError

ALGORITHMS: tuple[KeyAlgorithm, ...] = ("EC_prime256v1", "EC_secp384r1", "RSA_2048")
BUCKET = "meshcert-color-crl"
_DAY = dt.timedelta(days=1)


def _der(pem: str) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pem.strip())


class TestOneList:
    """Reading one list, and the reasons to refuse it."""

    @pytest.mark.parametrize("key", ALGORITHMS)
    def test_a_list_of_the_ca_is_taken_whole(self, key: KeyAlgorithm) -> None:
        """Number, times and the bytes as PEM, which another library reads the same."""
        hierarchy = Hierarchy(1, key)
        revoked = hierarchy.issue(["a.b"])
        encoded = hierarchy.revocation_list(revoked, number=1 << 70)

        found = read_revocation_list(encoded, _der(hierarchy.root_pem))

        expected = x509.load_der_x509_crl(encoded)
        assert found.number == 1 << 70
        assert expected.next_update_utc
        assert found.this_update == expected.last_update_utc.timestamp()
        assert found.next_update == expected.next_update_utc.timestamp()
        assert x509.load_pem_x509_crl(found.pem.encode()) == expected

    def test_a_list_without_a_number_counts_as_the_first(self) -> None:
        """RFC 5280 demands a number, but nothing is lost without it."""
        hierarchy = Hierarchy()

        assert read_revocation_list(hierarchy.revocation_list(number=None), _der(hierarchy.root_pem)).number == 0

    @pytest.mark.parametrize("key", ALGORITHMS)
    def test_another_key_of_the_same_name_did_not_sign_it(self, key: KeyAlgorithm) -> None:
        """Write access to the bucket is not enough to make a list."""
        ours, theirs = Hierarchy(1, key), Hierarchy(1, "EC_prime256v1" if key != "EC_prime256v1" else "RSA_2048")

        for forged in (theirs.revocation_list(), Hierarchy(1, key).revocation_list()):
            with pytest.raises(ValueError, match="its signature is not of this CA"):
                read_revocation_list(forged, _der(ours.root_pem))

    def test_the_list_of_another_ca_is_told_from_a_forged_one(self) -> None:
        """Two CAs' lists were mixed up."""
        hierarchy = Hierarchy(2)

        with pytest.raises(ValueError, match="the list of another CA"):
            read_revocation_list(hierarchy.revocation_list(by="root"), _der(hierarchy.issuing_pem))

    @pytest.mark.parametrize(
        "extension",
        [
            x509.DeltaCRLIndicator(1),
            x509.IssuingDistributionPoint(
                [x509.UniformResourceIdentifier("http://a.b/1.crl")], None, False, False, None, False, False
            ),
        ],
        ids=["delta", "partition"],
    )
    def test_a_part_of_a_list_is_refused(self, extension: x509.ExtensionType) -> None:
        """A revoked certificate might stand in another part."""
        hierarchy = Hierarchy()

        with pytest.raises(ValueError, match="only a part"):
            read_revocation_list(hierarchy.revocation_list(extension=extension), _der(hierarchy.root_pem))
        with pytest.raises(ValueError, match="only a part"):
            read_revocation_list(
                hierarchy.revocation_list(extension=extension, critical=False), _der(hierarchy.root_pem)
            )

    @pytest.mark.parametrize("element", [b"\x05\x00", b"\x30\x00"], ids=["NULL", "SEQUENCE"])
    def test_half_a_million_elements_cost_no_memory(self, element: bytes) -> None:
        """Before any signature is looked at, in the part to be signed and outside of it."""
        filling = element * (500_000 // 2)
        inner = b"\x30\x83" + len(filling).to_bytes(3, "big") + filling
        rest = b"\x30\x00\x03\x01\x00"
        outer = b"\x30\x83" + (len(inner) + len(rest)).to_bytes(3, "big") + inner + rest
        authority = _der(Hierarchy().root_pem)
        tracemalloc.start()
        try:
            for encoded in (inner, outer):
                with pytest.raises(ValueError, match="it is no revocation list"):
                    read_revocation_list(encoded, authority)
            assert tracemalloc.get_traced_memory()[1] < 8 << 20
        finally:
            tracemalloc.stop()

    def test_a_longer_list_than_s3_is_asked_for_is_not_read(self) -> None:
        """And no number longer than RFC 5280 allows: Python itself refuses to write out a very long one."""
        hierarchy = Hierarchy()

        with pytest.raises(ValueError, match="longer than"):
            read_revocation_list(bytes((1 << 20) + 1), _der(hierarchy.root_pem))
        with pytest.raises(ValueError, match="its number is longer"):
            read_revocation_list(hierarchy.revocation_list(number=1 << 200), _der(hierarchy.root_pem))

    @pytest.mark.parametrize("at", [0.0, 0.2, 0.5, 0.8, 0.99])
    def test_one_changed_byte_is_found(self, at: float) -> None:
        """Somewhere in the list, its names, its times or its signature."""
        hierarchy = Hierarchy()
        encoded = bytearray(hierarchy.revocation_list(hierarchy.issue(["a.b"])))
        encoded[int(at * len(encoded))] ^= 0x01

        with pytest.raises(ValueError, match=r"."):
            read_revocation_list(bytes(encoded), _der(hierarchy.root_pem))

    def test_garbage_is_a_value_error_and_nothing_else(self) -> None:
        """Cut, flipped or made up; 1,000 times."""
        hierarchy = Hierarchy()
        good, authority = hierarchy.revocation_list(hierarchy.issue(["a.b"])), _der(hierarchy.root_pem)
        source = random.Random(7)  # noqa: S311 -- a test repeats itself

        for _ in range(1000):
            start, end = sorted(source.sample(range(len(good)), 2))
            changed = good[:start] + source.randbytes(source.randrange(4)) + good[start + source.randrange(4) :]
            for text in (changed, good[start:end], source.randbytes(source.randrange(200))):
                if text != good:
                    with pytest.raises(ValueError, match=r"."):
                        read_revocation_list(text, authority)


class Bucket:
    """S3 in memory."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.error: MeshcertError | None = None
        self.sent = 0
        self.asked = 0

    def read(self, bucket: str, key: str, entity_tag: str = "") -> StoredObject | None:
        """GetObject with If-None-Match."""
        assert bucket == BUCKET
        self.asked += 1
        if self.error:
            raise self.error
        if key not in self.objects:
            raise AwsRefused("s3:GetObject", f"s3://{bucket}/{key}", "AccessDenied")
        tag = str(hash(self.objects[key]))
        if tag == entity_tag:
            return None
        self.sent += 1
        return StoredObject(self.objects[key], tag)


class WebServer:
    """Web servers in memory, by URL."""

    def __init__(self, objects: dict[str, bytes]) -> None:
        self.objects = objects
        self.asked: list[str] = []

    def read(self, url: str, entity_tag: str = "") -> StoredObject | None:
        """GET with If-None-Match."""
        self.asked.append(url)
        if url not in self.objects:
            raise AwsUnavailable("GET", url, "no connection")
        tag = str(hash(self.objects[url]))
        return None if tag == entity_tag else StoredObject(self.objects[url], tag)


class World:
    """A hierarchy of two tiers, its bundle, and a bucket with both lists."""

    def __init__(self) -> None:
        self.hierarchy = Hierarchy(2)
        self.bucket = Bucket()
        self.ahead_s = 0.0
        self.put()
        self.bundle = TrustBundle(
            self.hierarchy.root_pem,
            (
                ListSource(BUCKET, "crl/issuing.crl", self.hierarchy.issuing_pem),
                ListSource(BUCKET, "crl/root.crl", self.hierarchy.root_pem),
            ),
        )
        self.lists = RevocationLists(self.bucket, lambda: time.time() + self.ahead_s)

    def put(self, **changes: Any) -> None:
        """Write both lists anew."""
        self.bucket.objects = {
            "crl/issuing.crl": self.hierarchy.revocation_list(by="issuing", **changes),
            "crl/root.crl": self.hierarchy.revocation_list(by="root", **changes),
        }

    def look(self, revocation: Revocation = Revocation.FAIL_OPEN) -> UsableLists:
        """One look."""
        return self.lists.current(self.bundle, revocation, "trust/colorteller")


@pytest.fixture
def world() -> World:
    """Both lists are in the bucket, valid for a week."""
    return World()


class TestListsOfWebServers:
    """A corporate root's list is where its PKI publishes it, and the CA's own in a bucket."""

    ROOT = "http://pki.example/root.crl"

    def world(self, *objects: str) -> tuple[World, WebServer]:
        """The root's list is a web server's, which has it, or has it not."""
        world = World()
        web = WebServer({url: world.hierarchy.revocation_list(by="root") for url in objects})
        own, _ = world.bundle.lists
        world.bundle = world.bundle._replace(lists=(own, ListSource.at(self.ROOT, world.hierarchy.root_pem)))
        world.lists = RevocationLists(world.bucket, time.time, web)
        return world, web

    def test_they_count_as_any_other(self) -> None:
        """Checked, kept, and asked for anew only if they have changed."""
        world, web = self.world(self.ROOT)

        first, second = world.look(Revocation.FAIL_CLOSED), world.look(Revocation.FAIL_CLOSED)

        assert (first.problem, first.pem.count("BEGIN X509 CRL")) == ("", 2)
        assert first == second
        assert web.asked == [self.ROOT, self.ROOT]

    def test_one_that_another_ca_has_signed_is_refused(self) -> None:
        """Plain HTTP proves nothing; the signature does."""
        world, web = self.world(self.ROOT)
        web.objects[self.ROOT] = Hierarchy().revocation_list(by="root")

        assert f"{self.ROOT}: " in world.look().problem
        assert world.look().pem == ""

    def test_a_server_that_is_out_keeps_no_bucket_waiting(self) -> None:
        """And is told by its URL; under fail_open revoked peers pass meanwhile, and that is said."""
        world, _ = self.world()
        world.bundle = world.bundle._replace(lists=world.bundle.lists[::-1])

        found = world.look()

        assert found.problem == f"revoked peers pass: {self.ROOT}: no connection"
        assert world.bucket.asked == 1


class TestGoodLists:
    """The usual case."""

    @pytest.mark.parametrize("revocation", [Revocation.FAIL_OPEN, Revocation.FAIL_CLOSED])
    def test_every_ca_of_the_chain_has_its_list(self, world: World, revocation: Revocation) -> None:
        """Envoy refuses good peers when one is missing."""
        found = world.look(revocation)

        assert not found.problem
        assert found.pem.count("BEGIN X509 CRL") == 2

    def test_nobody_is_asked_where_nobody_wants_lists(self, world: World) -> None:
        """`revocation: none`."""
        world.bucket.error = AwsUnavailable("s3:GetObject", "x", "must not be asked")

        assert world.look(Revocation.NONE) == UsableLists()

    def test_a_list_is_read_once(self, world: World) -> None:
        """Later looks send its entity tag, and S3 sends nothing back."""
        first = world.look()

        assert [world.look() for _ in range(3)] == [first] * 3
        assert world.bucket.sent == 2

    def test_a_new_list_is_a_new_version(self, world: World) -> None:
        """Envoy shows it; the version of the bundle's secret stands before it."""
        before = world.look()
        world.put(number=2)
        after = world.look()

        assert after.version("abc") != before.version("abc")
        assert all(lists.version("abc").startswith("abc.") for lists in (before, after))
        assert UsableLists().version("abc") == "abc"


class TestFailOpen:
    """The default: a missing list removes all of them, and that is logged."""

    @pytest.mark.parametrize("missing", ["crl/issuing.crl", "crl/root.crl"])
    def test_one_missing_list_takes_the_others_away(self, world: World, missing: str) -> None:
        """With one of two, Envoy would refuse every peer."""
        del world.bucket.objects[missing]

        found = world.look()

        assert not found.pem
        assert found.problem.startswith(f"revoked peers pass: s3://{BUCKET}/{missing}: ")
        assert "AccessDenied" in found.problem

    def test_an_outage_changes_nothing_while_the_lists_at_hand_are_good(self, world: World) -> None:
        """It is logged all the same."""
        before = world.look()
        world.bucket.error = AwsUnavailable("s3:GetObject", "x", "HTTP 503")

        found = world.look()

        assert found.pem == before.pem
        assert found.problem.count("HTTP 503") == 2
        assert "pass" not in found.problem

    def test_s3_is_waited_for_once_a_look(self, world: World) -> None:
        """Two lists do not take twice as long when it does not answer."""
        world.bucket.error = AwsUnavailable("s3:GetObject", "x", "no answer within 3 s")

        found = world.look()

        assert world.bucket.asked == 1
        assert found.problem.count("no answer within 3 s") == 2

    def test_stale_lists_are_taken_away_before_envoy_refuses_everybody(self, world: World) -> None:
        """Nobody has renewed them for a week."""
        world.look()
        world.ahead_s = 8 * 86400

        found = world.look()

        assert not found.pem
        assert "revoked peers pass" in found.problem
        assert "the list at hand ended on" in found.problem

    def test_they_come_back_with_the_next_good_list(self, world: World) -> None:
        """No restart is needed."""
        good = dict(world.bucket.objects)
        world.bucket.objects.clear()
        world.look()
        world.bucket.objects = good

        found = world.look()

        assert not found.problem
        assert found.pem.count("BEGIN X509 CRL") == 2

    def test_a_bundle_that_names_no_lists_is_told(self, world: World) -> None:
        """The services were deployed before the identities."""
        world.bundle = world.bundle._replace(lists=())

        assert "deploy the stacks again" in world.look().problem


class TestFailClosed:
    """Peers are refused rather than admitted unchecked."""

    def test_with_one_list_missing_envoy_gets_the_other_and_refuses(self, world: World) -> None:
        """Handing over none would let everybody in."""
        del world.bucket.objects["crl/issuing.crl"]

        found = world.look(Revocation.FAIL_CLOSED)

        assert found.pem.count("BEGIN X509 CRL") == 1
        assert found.problem.startswith("peers of these CAs are refused: ")

    def test_stale_lists_stay_and_envoy_refuses(self, world: World) -> None:
        """A list that has ended refuses its CA's certificates."""
        before = world.look(Revocation.FAIL_CLOSED)
        world.ahead_s = 8 * 86400

        found = world.look(Revocation.FAIL_CLOSED)

        assert found.pem == before.pem
        assert found.problem.startswith("peers of these CAs are refused: ")

    def test_without_any_list_there_is_nothing_to_hand_over(self, world: World) -> None:
        """The container waits for one: with none, Envoy would not look at revocation at all."""
        world.bucket.objects.clear()

        with pytest.raises(AwsUnavailable, match="no revocation list"):
            world.look(Revocation.FAIL_CLOSED)


class TestRefusedLists:
    """A list that is fetched and refused: the one before stays."""

    def test_an_older_list_does_not_bring_a_revoked_peer_back(self, world: World) -> None:
        """Somebody put an old object back."""
        world.put(number=5)
        newest = world.look()
        world.put(number=4)

        found = world.look()

        assert found.pem == newest.pem
        assert "its number 4 is older than 5" in found.problem

    def test_a_forged_list_is_not_taken(self, world: World) -> None:
        """The bucket can be written by somebody else."""
        before = world.look()
        world.bucket.objects["crl/root.crl"] = Hierarchy(2).revocation_list(by="root")

        found = world.look()

        assert found.pem == before.pem
        assert "its signature is not of this CA" in found.problem

    def test_a_list_of_tomorrow_is_not_taken(self, world: World) -> None:
        """Envoy would refuse every peer."""
        world.put(this_update=dt.datetime.now(dt.UTC) + _DAY, next_update=dt.datetime.now(dt.UTC) + 8 * _DAY)

        found = world.look()

        assert not found.pem
        assert "which is not yet" in found.problem

    def test_a_list_of_another_shape_is_not_taken(self, world: World) -> None:
        """An error page, for example."""
        world.bucket.objects["crl/root.crl"] = b"<html>"

        assert "it is no revocation list" in world.look().problem
