#!/bin/sh
# As Kafka's tool of this name, by `rinka topic`: what librdkafka's tests ask of it, and nothing else.
set -eu
rest=
while [ $# -gt 0 ]; do
  case $1 in
    --bootstrap-server) bootstrap=$2; shift ;;
    --create | --alter | --delete) action=${1#--} ;;
    --topic) topic=$2; shift ;;
    --replication-factor) rest="$rest --replication $2"; shift ;;
    *) rest="$rest $1" ;;
  esac
  shift
done
# shellcheck disable=SC2086 # Options and their values, none with a space in it.
exec "$RINKA" topic "$action" "$topic" --bootstrap "$bootstrap" $rest
