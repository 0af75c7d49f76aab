"""``deployserver user``."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Mapping
from typing import Any

from deployserver.administration import Administration
from deployserver.cli.output import Row, add_json_option, date, print_row, print_rows
from deployserver.cli.session import administer
from deployserver.errors import InvalidValue
from deployserver.models import User
from deployserver.users import add_user, remove_user, set_password


def add_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands."""
    parser = commands.add_parser("user", parents=[common], help="add, list and remove users, set passwords")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)

    add = actions.add_parser("add", parents=[common], help="add a user; asks for a password")
    add.add_argument("name", metavar="NAME", help="name; found in any letter case, shown as given here")
    how = add.add_mutually_exclusive_group()
    how.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    how.add_argument("--no-password", action="store_true", help="no password: only personal keys act as this user")
    add_json_option(add)
    add.set_defaults(run=_add)

    list_ = actions.add_parser("list", parents=[common], help="list users")
    add_json_option(list_)
    list_.set_defaults(run=_list)

    password = actions.add_parser("password", parents=[common], help="set a user's password")
    password.add_argument("name", metavar="NAME", help="the user")
    password.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    add_json_option(password)
    password.set_defaults(run=_password)

    remove = actions.add_parser("remove", parents=[common], help="remove a user, their keys and privileges")
    remove.add_argument("name", metavar="NAME", help="the user")
    add_json_option(remove)
    remove.set_defaults(run=_remove)


def _row(user: User) -> Row:
    return {
        "id": user.id,
        "name": user.name,
        "hasPassword": user.password_hash is not None,
        "created": date(user.created_at),
    }


def _read_password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().removeprefix("\ufeff").rstrip("\r\n")
    if not sys.stdin.isatty():
        raise InvalidValue("There is no terminal to ask for the password; send it with --password-stdin.")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        raise InvalidValue("The two passwords differ.")
    return password


def _add(arguments: argparse.Namespace, environ: Mapping[str, str]) -> None:
    password = None if arguments.no_password else _read_password(arguments.password_stdin)
    user = administer(arguments, environ, lambda admin: add_user(admin, arguments.name, password))
    print_row(
        _row(user),
        arguments.json,
        f"User {user.name} added. Grant privileges with deployserver privilege grant.",
    )


def _list(arguments: argparse.Namespace, environ: Mapping[str, str]) -> None:
    access = administer(arguments, environ, Administration.access)
    print_rows([_row(user) for user in access.users.values()], arguments.json, "No users. deployserver user add NAME")


def _password(arguments: argparse.Namespace, environ: Mapping[str, str]) -> None:
    password = _read_password(arguments.password_stdin)
    user = administer(arguments, environ, lambda admin: set_password(admin, arguments.name, password))
    print_row({"name": user.name}, arguments.json, f"The password of {user.name} has been changed.")


def _remove(arguments: argparse.Namespace, environ: Mapping[str, str]) -> None:
    user = administer(arguments, environ, lambda admin: remove_user(admin, arguments.name))
    print_row({"name": user.name}, arguments.json, f"User {user.name} removed, with their keys and privileges.")
